-- Drives POST /api/agent under wrk. Arguments after "--": a file with one agent per line, its token and its body in
-- two pieces (tab-separated), between which the instant belongs.

local started = 0

function setup(thread)
  started = started + 1
  thread:set("number", started)
end

function init(args)
  agents, sent = {}, 0
  for line in io.lines(args[1]) do
    local token, head, tail = line:match("^([^\t]*)\t([^\t]*)\t(.*)$")
    -- An instant such as 2026-01-31T02:00:00.000000Z has 27 characters, always.
    local length = #head + 27 + #tail
    local request = "POST /api/agent HTTP/1.1\r\nHost: " .. wrk.host .. ":" .. wrk.port
      .. "\r\nAuthorization: Bearer " .. token .. "\r\nContent-Type: application/json\r\nContent-Length: "
      .. length .. "\r\n\r\n" .. head
    agents[#agents + 1] = { request, tail }
  end
end

function request()
  sent = sent + 1
  local agent = agents[sent % #agents + 1]
  -- Points of one agent never share an instant: the microseconds count requests, and threads take turns.
  local micros = (sent * 2 + number % 2) % 1000000
  return agent[1] .. os.date("!%Y-%m-%dT%H:%M:%S") .. string.format(".%06dZ", micros) .. agent[2]
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('\nFIGURES {"requests": %d, "seconds": %f, "failed": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.duration / 1e6, failed, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
