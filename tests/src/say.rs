//! The client's side of sd_notify(3), for scripts.

/// `say(TEXT)` and `barrier()`: the client's side of sd_notify(3) and sd_notify_barrier(3).
pub const SAY: &str = r#"
import array, os, select, socket, sys, time
server = os.environ["NOTIFY_SOCKET"]
client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
def say(text, fds=[]):
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    client.sendmsg([text.encode()], rights, 0, server)
def barrier():
    near, far = os.pipe()
    say("BARRIER=1", [far])
    os.close(far)
    poll = select.poll()
    poll.register(near, 0)
    assert poll.poll(10000), "nobody has closed the barrier's descriptor"
def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.01)
"#;
