"""Runs a program whose reads bring at most N bytes each: python3 short_reads.py N PROGRAM [ARGUMENT...]
The kernel is asked for fewer bytes than the program wanted, so the reads are truly short, not only said to be.
Ends with the program's status; the last line on stderr is how many reads were cut. Linux on x86-64."""
import ctypes, os, signal, sys

TRACEME, PEEKUSER, POKEUSER, SYSCALL, SETOPTIONS = 0, 3, 6, 24, 0x4200
MARK_SYSCALLS, KILL_WITH_US = 1, 0x100000
# Offsets in `struct user`, and numbers of system calls.
RDX, ORIG_RAX = 12 * 8, 15 * 8
READ, GETCWD = 0, 79

libc = ctypes.CDLL(None)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
at_most, *command = int(sys.argv[1]), *sys.argv[2:]
child = os.fork()
if child == 0:
    libc.ptrace(TRACEME, 0, None, None)
    os.execv(command[0], command)
os.waitpid(child, 0)
libc.ptrace(SETOPTIONS, child, None, MARK_SYSCALLS | KILL_WITH_US)
# The loader gives up on a short read; the program's own first call is `getcwd`.
started, entering, cut, delivered = False, False, 0, 0
while True:
    libc.ptrace(SYSCALL, child, None, delivered)
    _, status = os.waitpid(child, 0)
    if not os.WIFSTOPPED(status):
        print(cut, file=sys.stderr)
        sys.exit(os.waitstatus_to_exitcode(status) % 256)
    stop = os.WSTOPSIG(status)
    delivered = 0 if stop == signal.SIGTRAP | 0x80 else stop
    if delivered:
        continue
    entering = not entering
    call = libc.ptrace(PEEKUSER, child, ORIG_RAX, None)
    started = started or call == GETCWD
    if entering and started and call == READ and libc.ptrace(PEEKUSER, child, RDX, None) > at_most:
        libc.ptrace(POKEUSER, child, RDX, at_most)
        cut += 1
