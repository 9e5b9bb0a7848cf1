// The token lives in this variable only: closing the page signs out, and no other page can read it.
"use strict";

let token = null;
let userCode = new URLSearchParams(location.search).get("user_code") || "";
const byId = (id) => document.getElementById(id);

function notice(text, bad) {
  const line = byId("notice");
  line.textContent = text;
  line.className = bad ? "bad" : "";
  line.hidden = !text;
}

function show(id) {
  for (const name of ["sign-in", "code", "decision"]) byId(name).hidden = name !== id;
}

async function call(method, path, body) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const said = await answer.json();
  if (answer.ok) return said;
  throw new Error(said.error_description || (said.error && said.error.message) || `The server said ${answer.status}.`);
}

function guarded(step) {
  return async (event) => {
    event.preventDefault();
    notice("");
    try {
      await step(event);
    } catch (wrong) {
      notice(wrong.message, true);
    }
  };
}

async function lookUp() {
  const found = await call("GET", `/api/auth/device?user_code=${encodeURIComponent(userCode)}`);
  const rows = [
    ["Code", found.user_code],
    ["Calls from", found.peer],
    ["Host name (claimed)", found.claimed.hostname],
    ["Name (claimed)", found.claimed.name],
    ["Addresses (claimed)", (found.claimed.all_ips || []).join(", ")],
    ["System (claimed)", found.claimed.platform],
    ["Asked at", found.requested_at],
  ];
  byId("facts").replaceChildren(...rows.filter((row) => row[1]).flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  }));
  show("decision");
}

byId("sign-in").addEventListener("submit", guarded(async (event) => {
  const form = new FormData(event.target);
  token = (await call("POST", "/api/auth/login", Object.fromEntries(form))).access_token;
  event.target.reset();
  byId("code").elements.user_code.value = userCode;
  show("code");
  if (userCode) await lookUp();
}));

byId("code").addEventListener("submit", guarded(async (event) => {
  userCode = event.target.elements.user_code.value;
  await lookUp();
}));

for (const [id, action, done] of [
  ["allow", "authorize", "Allowed. The agent fetches its identity within seconds; this page can be closed."],
  ["deny", "deny", "Denied. The agent has been told."],
]) {
  byId(id).addEventListener("click", guarded(async () => {
    await call("POST", "/api/auth", { action, user_code: userCode });
    show("none");
    notice(done);
  }));
}
