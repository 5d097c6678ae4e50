"""System calls by name: their numbers on each machine, and what a boxed process may do with each.

A list of what is allowed, so that a call the kernel learns tomorrow is refused. Must never know:
how a filter is built of it, or how it is put in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct


def _numbers(text: str) -> dict[str, int]:
    pairs = (word.split("=") for word in text.split())
    return {name: int(number) for name, number in pairs}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_X86_64: Final = _numbers(
    """
    accept=43 accept4=288 access=21 acct=163 add_key=248 adjtimex=159 alarm=37 arch_prctl=158
    bind=49 bpf=321 brk=12 capset=126 chdir=80 chmod=90 chroot=161 clock_adjtime=305
    clock_getres=229 clock_gettime=228 clock_nanosleep=230 clock_settime=227 clone=56 clone3=435
    close=3 close_range=436 connect=42 copy_file_range=326 creat=85 delete_module=176 dup=32 dup2=33
    dup3=292 epoll_create=213 epoll_create1=291 epoll_ctl=233 epoll_pwait=281 epoll_wait=232
    eventfd=284 eventfd2=290 execve=59 execveat=322 exit=60 exit_group=231 faccessat=269
    faccessat2=439 fadvise64=221 fallocate=285 fanotify_init=300 fchdir=81 fchmod=91 fchmodat=268
    fcntl=72 fdatasync=75 finit_module=313 flock=73 fork=57 fsconfig=431 fsmount=432 fsopen=430
    fspick=433 fstat=5 fstatfs=138 fsync=74 ftruncate=77 futex=202 futex_waitv=449
    get_robust_list=274 getcpu=309 getcwd=79 getdents=78 getdents64=217 getegid=108 geteuid=107
    getgid=104 getgroups=115 getitimer=36 getpeername=52 getpgid=121 getpgrp=111 getpid=39
    getppid=110 getrandom=318 getresgid=120 getresuid=118 getrlimit=97 getrusage=98 getsid=124
    getsockname=51 getsockopt=55 gettid=186 gettimeofday=96 getuid=102 init_module=175
    io_uring_enter=426 io_uring_register=427 io_uring_setup=425 ioctl=16 ioperm=173 iopl=172
    kcmp=312 kexec_file_load=320 kexec_load=246 keyctl=250 kill=62 landlock_add_rule=445
    landlock_create_ruleset=444 landlock_restrict_self=446 link=86 linkat=265 listen=50
    lookup_dcookie=212 lseek=8 lstat=6 madvise=28 membarrier=324 memfd_secret=447 mkdir=83
    mkdirat=258 mknod=133 mknodat=259 mmap=9 modify_ldt=154 mount=165 mount_setattr=442
    move_mount=429 mprotect=10 mremap=25 msync=26 munmap=11 name_to_handle_at=303 nanosleep=35
    newfstatat=262 nfsservctl=180 open=2 open_by_handle_at=304 open_tree=428 openat=257
    perf_event_open=298 pidfd_getfd=438 pidfd_open=434 pidfd_send_signal=424 pipe=22 pipe2=293
    pivot_root=155 poll=7 ppoll=271 prctl=157 pread64=17 preadv=295 prlimit64=302
    process_madvise=440 process_mrelease=448 process_vm_readv=310 process_vm_writev=311 pselect6=270
    ptrace=101 pwrite64=18 pwritev=296 quotactl=179 read=0 readlink=89 readlinkat=267 readv=19
    reboot=169 recvfrom=45 recvmmsg=299 recvmsg=47 rename=82 renameat=264 renameat2=316
    request_key=249 restart_syscall=219 rmdir=84 rseq=334 rt_sigaction=13 rt_sigpending=127
    rt_sigprocmask=14 rt_sigreturn=15 sched_getaffinity=204 sched_getparam=143
    sched_getscheduler=145 sched_yield=24 seccomp=317 select=23 sendfile=40 sendmmsg=307 sendmsg=46
    sendto=44 set_robust_list=273 set_tid_address=218 setdomainname=171 sethostname=170 setitimer=38
    setns=308 setrlimit=160 setsockopt=54 settimeofday=164 shutdown=48 sigaltstack=131 socket=41
    socketpair=53 stat=4 statfs=137 statx=332 swapoff=168 swapon=167 symlink=88 symlinkat=266
    sysinfo=99 syslog=103 tgkill=234 time=201 timerfd_create=283 timerfd_gettime=287
    timerfd_settime=286 times=100 truncate=76 umask=95 umount2=166 uname=63 unlink=87 unlinkat=263
    unshare=272 userfaultfd=323 utimensat=280 vfork=58 vhangup=153 wait4=61 waitid=247 write=1
    writev=20
    """
)
_AARCH64: Final = _numbers(
    """
    accept=202 accept4=242 acct=89 add_key=217 adjtimex=171 bind=200 bpf=280 brk=214 capset=91
    chdir=49 chroot=51 clock_adjtime=266 clock_getres=114 clock_gettime=113 clock_nanosleep=115
    clock_settime=112 clone=220 clone3=435 close=57 close_range=436 connect=203 copy_file_range=285
    delete_module=106 dup=23 dup3=24 epoll_create1=20 epoll_ctl=21 epoll_pwait=22 eventfd2=19
    execve=221 execveat=281 exit=93 exit_group=94 faccessat=48 faccessat2=439 fadvise64=223
    fallocate=47 fanotify_init=262 fchdir=50 fchmod=52 fchmodat=53 fcntl=25 fdatasync=83
    finit_module=273 flock=32 fsconfig=431 fsmount=432 fsopen=430 fspick=433 fstat=80 fstatfs=44
    fsync=82 ftruncate=46 futex=98 futex_waitv=449 get_robust_list=100 getcpu=168 getcwd=17
    getdents64=61 getegid=177 geteuid=175 getgid=176 getgroups=158 getitimer=102 getpeername=205
    getpgid=155 getpid=172 getppid=173 getrandom=278 getresgid=150 getresuid=148 getrlimit=163
    getrusage=165 getsid=156 getsockname=204 getsockopt=209 gettid=178 gettimeofday=169 getuid=174
    init_module=105 io_uring_enter=426 io_uring_register=427 io_uring_setup=425 ioctl=29 kcmp=272
    kexec_file_load=294 kexec_load=104 keyctl=219 kill=129 landlock_add_rule=445
    landlock_create_ruleset=444 landlock_restrict_self=446 linkat=37 listen=201 lookup_dcookie=18
    lseek=62 madvise=233 membarrier=283 memfd_secret=447 mkdirat=34 mknodat=33 mmap=222 mount=40
    mount_setattr=442 move_mount=429 mprotect=226 mremap=216 msync=227 munmap=215
    name_to_handle_at=264 nanosleep=101 newfstatat=79 nfsservctl=42 open_by_handle_at=265
    open_tree=428 openat=56 perf_event_open=241 pidfd_getfd=438 pidfd_open=434 pidfd_send_signal=424
    pipe2=59 pivot_root=41 ppoll=73 prctl=167 pread64=67 preadv=69 prlimit64=261 process_madvise=440
    process_mrelease=448 process_vm_readv=270 process_vm_writev=271 pselect6=72 ptrace=117
    pwrite64=68 pwritev=70 quotactl=60 read=63 readlinkat=78 readv=65 reboot=142 recvfrom=207
    recvmmsg=243 recvmsg=212 renameat=38 renameat2=276 request_key=218 restart_syscall=128 rseq=293
    rt_sigaction=134 rt_sigpending=136 rt_sigprocmask=135 rt_sigreturn=139 sched_getaffinity=123
    sched_getparam=121 sched_getscheduler=120 sched_yield=124 seccomp=277 sendfile=71 sendmmsg=269
    sendmsg=211 sendto=206 set_robust_list=99 set_tid_address=96 setdomainname=162 sethostname=161
    setitimer=103 setns=268 setrlimit=164 setsockopt=208 settimeofday=170 shutdown=210
    sigaltstack=132 socket=198 socketpair=199 statfs=43 statx=291 swapoff=225 swapon=224
    symlinkat=36 sysinfo=179 syslog=116 tgkill=131 timerfd_create=85 timerfd_gettime=87
    timerfd_settime=86 times=153 truncate=45 umask=166 umount2=39 uname=160 unlinkat=35 unshare=97
    userfaultfd=282 utimensat=88 vhangup=58 wait4=260 waitid=95 write=64 writev=66
    """
)
ALLOWED: Final = _names(
    """
    read write close fstat newfstatat stat lstat lseek mmap mprotect munmap brk mremap madvise msync
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending sigaltstack pread64 pwrite64 readv
    writev preadv pwritev access faccessat faccessat2 pipe pipe2 select pselect6 poll ppoll
    sched_yield sched_getaffinity sched_getparam sched_getscheduler dup dup2 dup3 nanosleep
    clock_nanosleep clock_gettime clock_getres gettimeofday time times getpid getppid gettid getuid
    geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid getrlimit getrusage
    sysinfo uname getcpu exit exit_group flock fsync fdatasync truncate ftruncate fallocate
    fadvise64 getdents getdents64 getcwd chdir fchdir rename renameat renameat2 mkdir mkdirat rmdir
    creat open openat unlink unlinkat readlink readlinkat chmod fchmod fchmodat umask utimensat
    statfs fstatfs statx symlink symlinkat link linkat copy_file_range sendfile arch_prctl futex
    futex_waitv set_tid_address set_robust_list get_robust_list rseq membarrier getrandom
    close_range epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd eventfd2
    timerfd_create timerfd_settime timerfd_gettime wait4 waitid restart_syscall getitimer setitimer
    alarm
    """
)
"""Answered by the kernel: memory, time, threads, and files as far as Landlock and the mounts go."""
NETWORK: Final = _names(
    """
    socket socketpair connect bind listen accept accept4 sendto recvfrom sendmsg recvmsg sendmmsg
    recvmmsg shutdown getsockname getpeername setsockopt getsockopt
    """
)
"""Answered with `ENONET`: whatever could speak to somebody."""
PROCESSES: Final = _names(
    """
    fork vfork execve execveat
    """
)
"""Answered with `ECHILD`, as `clone` is where it is no thread: whatever makes another process or program."""
KILLED: Final = _names(
    """
    ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_getfd
    pidfd_send_signal kcmp unshare setns mount umount2 pivot_root chroot move_mount
    open_tree fsopen fsconfig fsmount fspick mount_setattr io_uring_setup io_uring_enter
    io_uring_register bpf perf_event_open keyctl add_key request_key init_module finit_module
    delete_module kexec_load kexec_file_load reboot swapon swapoff userfaultfd iopl ioperm
    modify_ldt open_by_handle_at name_to_handle_at quotactl acct settimeofday clock_settime
    clock_adjtime adjtimex sethostname setdomainname syslog vhangup mknod mknodat memfd_secret
    fanotify_init lookup_dcookie nfsservctl
    """
)
"""Nothing that computes asks for these by accident; who does is ended."""


class Machine(Struct, frozen=True):
    """A machine as the kernel names it: `audit` is its number in a filter's data."""

    audit: int
    numbers: Mapping[str, int]
    foreign: int = 0
    """Numbers from here on belong to another way of calling (x32); 0 where there is none."""


MACHINES: Final[Mapping[str, Machine]] = {
    "x86_64": Machine(0xC000003E, _X86_64, 0x40000000),
    "aarch64": Machine(0xC00000B7, _AARCH64),
}
"""By the name that `uname` has for it. The numbers are those of the kernel's tables
(`arch/x86/entry/syscalls/syscall_64.tbl`, `include/uapi/asm-generic/unistd.h`)."""
