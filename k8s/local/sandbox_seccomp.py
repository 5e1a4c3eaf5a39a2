"""The system call filter of a sandbox: a classic BPF program, written by hand so that no library is needed.

It refuses what an app never needs and an attacker does: new namespaces, mounts, kernel keyrings, tracing machinery,
io_uring, and sockets of families that know no network namespace. Everything else is for capabilities (none), users and
namespaces to decide.
"""

import errno
import platform
import struct

_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24
_X32 = 0x40000000
_NEW_NAMESPACES = 0x7E020080  # every CLONE_NEW… bit: cgroup, uts, ipc, user, pid, net, mount, time
_SOCKET_FAMILIES = (1, 2, 10, 16)  # unix, inet, inet6, netlink
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# name: (x86_64, aarch64); None where the machine has no such call
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "setns": (308, 268),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None), "init_module": (175, 105),
    "delete_module": (176, 106), "finit_module": (313, 273), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "acct": (163, 89), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "userfaultfd": (323, 282), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "syslog": (103, 116), "vhangup": (153, 58), "lookup_dcookie": (212, 18), "move_pages": (279, 239),
    "fanotify_init": (300, 262), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
}  # fmt: skip
# Answered as if the kernel were older, so that programs fall back: clone3's flags are out of a filter's reach.
_ABSENT: dict[str, tuple[int, int]] = {
    "clone3": (435, 435), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
_CLONE, _UNSHARE, _SOCKET, _IOCTL = (56, 220), (272, 97), (41, 198), (16, 29)


def program(machine: str | None = None) -> bytes | None:
    """The filter for `bwrap --seccomp`, or None for a machine whose call numbers are not listed here."""
    machine = machine or platform.machine()
    if machine not in _AUDIT:
        return None
    column = 0 if machine == "x86_64" else 1
    code = [*_only(_AUDIT[machine])]
    code.append(_step(_LOAD, _NUMBER))
    if machine == "x86_64":
        code += [_step(_JUMP_GREATER_EQUAL, _X32, 0, 1), _refuse(errno.ENOSYS)]
    for number in (pair[column] for pair in _REFUSED.values()):
        if number is not None:
            code += [_step(_JUMP_EQUAL, number, 0, 1), _refuse(errno.EPERM)]
    for absent in (pair[column] for pair in _ABSENT.values()):
        code += [_step(_JUMP_EQUAL, absent, 0, 1), _refuse(errno.ENOSYS)]
    for call in (_CLONE, _UNSHARE):
        code += _when(call[column], _ARGUMENT_0, [_step(_JUMP_ANY_BIT, _NEW_NAMESPACES, 0, 1), _refuse(errno.EPERM)])
    code += _when(_SOCKET[column], _ARGUMENT_0, _one_of(_SOCKET_FAMILIES, errno.EAFNOSUPPORT))
    code += _when(_IOCTL[column], _ARGUMENT_1, _none_of(_TERMINAL_INJECTION, errno.EPERM))
    code.append(_step(_RETURN, _ALLOW))
    return b"".join(code)


def _step(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, operand)


def _refuse(number: int) -> bytes:
    return _step(_RETURN, _ERRNO | number)


def _only(architecture: int) -> list[bytes]:
    """Foreign call tables (32 bit) would give the numbers below other meanings."""
    return [_step(_LOAD, _ARCHITECTURE), _step(_JUMP_EQUAL, architecture, 1, 0), _refuse(errno.ENOSYS)]


def _when(number: int, argument: int, body: list[bytes]) -> list[bytes]:
    """`body` sees the low half of `argument` and either returns or falls through to allowing the call."""
    inner = [_step(_LOAD, argument), *body, _step(_RETURN, _ALLOW)]
    return [_step(_JUMP_EQUAL, number, 0, len(inner)), *inner]


def _one_of(allowed: tuple[int, ...], otherwise: int) -> list[bytes]:
    jumps = [_step(_JUMP_EQUAL, value, len(allowed) - index, 0) for index, value in enumerate(allowed)]
    return [*jumps, _refuse(otherwise)]


def _none_of(refused: tuple[int, ...], answer: int) -> list[bytes]:
    return [step for value in refused for step in (_step(_JUMP_EQUAL, value, 0, 1), _refuse(answer))]
