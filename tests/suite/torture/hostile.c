/* Programs that a step may be, where a shell cannot do it. Which one is said by the first argument; each ends by itself
 * after a while, so that a broken runner does not take the machine along. */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Longest life of anything here, in seconds. */
enum { LIFE = 60 };

static void live(void) {
    for (int second = 0; second < LIFE; second++)
        sleep(1);
    _exit(0);
}

static void close_all(void) {
    for (int fd = 0; fd < 64; fd++)
        close(fd);
}

/* What stands in /proc/PID/environ is the memory itself. */
static void wipe_environment(void) {
    for (char **entry = environ; *entry; entry++)
        memset(*entry, 0, strlen(*entry));
    environ = NULL;
}

static void ignore_most(void) {
    for (int number = 1; number < 32; number++)
        signal(number, SIG_IGN);
}

/* Three forks, a session of its own, no environment, no open file. */
static void thrice_without_trace(void) {
    for (int time = 0; time < 3; time++) {
        if (fork())
            _exit(0);
        if (time == 0)
            setsid();
    }
    wipe_environment();
    close_all();
    ignore_most();
    live();
}

/* The same, and the limit that tells whose it is is set to what everybody has. */
static void without_mark(void) {
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_LOCKS, &all);
    thrice_without_trace();
}

/* Each process starts the next in a session of its own and is gone. */
static void fork_loop(void) {
    time_t end = time(NULL) + 8;
    if (fork())
        _exit(0);
    for (int hop = 0; hop < 200000 && time(NULL) < end; hop++) {
        if (fork())
            _exit(0);
        setsid();
    }
    _exit(0);
}

static void *live_on(void *nothing) {
    live();
    return nothing;
}

/* Its first thread ends, so that it looks like a zombie; the other lives on. */
static void headless(void) {
    if (fork())
        _exit(0);
    setsid();
    pthread_t other;
    if (pthread_create(&other, NULL, live_on, NULL))
        _exit(9);
    syscall(SYS_exit, 0);
}

static void hog_memory(void) {
    size_t bytes = 192u << 20;
    char *all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED)
        _exit(9);
    memset(all, 7, bytes);
    live();
}

/* A parent that waits for what it made by vfork cannot be interrupted, as in a disk's wait: only killed. */
static void wait_uninterruptibly(void) {
    if (vfork() == 0) {
        ignore_most();
        live();
    }
    _exit(0);
}

static void vfork_and_leave(void) {
    char *argv[] = {"sleep", "60", NULL};
    char *none[] = {NULL};
    if (vfork() == 0) {
        setsid();
        execve("/bin/sleep", argv, none);
        _exit(127);
    }
    _exit(0);
}

/* A child of whoever started this. */
static void clone_parent(void) {
    if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0) {
        setsid();
        wipe_environment();
        close_all();
        live();
    }
    _exit(0);
}

static void new_pid_namespace(void) {
    if (unshare(CLONE_NEWPID))
        _exit(0);
    if (fork() == 0) {
        /* The first process of a namespace: no signal but SIGKILL from outside ends it. */
        setsid();
        for (int child = 0; child < 3; child++)
            if (fork() == 0) {
                setsid();
                live();
            }
        live();
    }
    _exit(0);
}

static void trace_child(void) {
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        setsid();
        raise(SIGSTOP);
        live();
    }
    /* It is never let go on. */
    live();
}

static void leave_traced_child(void) {
    int ready[2];
    char byte;
    if (pipe(ready))
        _exit(9);
    if (fork() == 0) {
        setsid();
        pid_t child = fork();
        if (child == 0)
            live();
        ptrace(PTRACE_SEIZE, child, 0, 0);
        ptrace(PTRACE_INTERRUPT, child, 0, 0);
        if (write(ready[1], "x", 1)) {}
        ignore_most();
        live();
    }
    if (read(ready[0], &byte, 1)) {}
    _exit(0);
}

static void become_nobody(void) {
    if (fork() == 0) {
        setsid();
        if (syscall(SYS_setgid, 65534) || syscall(SYS_setuid, 65534))
            _exit(0);
        wipe_environment();
        ignore_most();
        live();
    }
    _exit(0);
}

/* Orphans go to this one's child, not to the runner. */
static void reaper_of_its_own(void) {
    if (fork() == 0) {
        setsid();
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        for (int child = 0; child < 3; child++)
            if (fork() == 0) {
                if (fork())
                    _exit(0);
                setsid();
                live();
            }
        live();
    }
    _exit(0);
}

/* Numbers of processes go round: some of these stay, and end later. */
static void many_short_ones(void) {
    for (int child = 0; child < 200; child++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (child % 20 == 0) {
                setsid();
                struct timespec moment = {0, 1000000L * (child % 7)};
                nanosleep(&moment, NULL);
            }
            _exit(0);
        }
        if (pid > 0 && child % 20)
            waitpid(pid, NULL, 0);
    }
    _exit(0);
}

static const struct {
    const char *name;
    void (*run)(void);
} ALL[] = {
    {"thrice_without_trace", thrice_without_trace},
    {"without_mark", without_mark},
    {"fork_loop", fork_loop},
    {"headless", headless},
    {"hog_memory", hog_memory},
    {"wait_uninterruptibly", wait_uninterruptibly},
    {"vfork_and_leave", vfork_and_leave},
    {"clone_parent", clone_parent},
    {"new_pid_namespace", new_pid_namespace},
    {"trace_child", trace_child},
    {"leave_traced_child", leave_traced_child},
    {"become_nobody", become_nobody},
    {"reaper_of_its_own", reaper_of_its_own},
    {"many_short_ones", many_short_ones},
};

int main(int argc, char **argv) {
    for (size_t at = 0; argc > 1 && at < sizeof ALL / sizeof *ALL; at++)
        if (!strcmp(argv[1], ALL[at].name))
            ALL[at].run();
    return 99;
}
