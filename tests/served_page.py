"""A service for containers without systemd: it serves one page, also after a start, as long as its file is there."""

from nanny_ops.lab.lxc import Container
from nanny_ops.protocol.probe import Probe

PAGE = "srv/page"
SERVE = """
use IO::Socket::INET;
socket(my $any, 2, 2, 0);
my $up = pack("a16 s x22", "lo", 0x41);
ioctl($any, 0x8914, $up);  # SIOCSIFFLAGS: no init brings the loopback up here
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    my $line = <$client>;
    open my $page, "<", "/srv/page" or die;
    print $client "HTTP/1.0 200 OK\\r\\nConnection: close\\r\\n\\r\\n", <$page>;
    close $client;
}
"""
#: It says what it said at first.
ONE = Probe(kind="http", url="http://127.0.0.1:8080/", body="one", timeout_seconds=5)


def install(container: Container) -> None:
    """Let a container's init start the service from its next start on."""
    (container.rootfs / "srv/serve.pl").write_text(SERVE)
    (container.rootfs / PAGE).write_text("one\n")
    init = container.rootfs / "usr/sbin/init"
    init.write_text(init.read_text().replace("#!/bin/sh\n", "#!/bin/sh\nperl /srv/serve.pl &\n", 1))
