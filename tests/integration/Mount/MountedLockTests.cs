namespace KvFs.Integration.Tests.Mount;

/// <summary>Locks on a mounted drive, each by two processes.</summary>
public sealed class MountedLockTests(MountedDrive drive) : IClassFixture<MountedDrive>
{
    /// <summary>A second process that executes lines of Python and answers each with a line.</summary>
    private const string Other = """
        class Other:
            def __init__(self):
                program = '''
        import fcntl, os, signal, struct, sys
        fd = os.open("f", os.O_RDWR)
        for line in sys.stdin:
            try:
                exec(line)
                print("ok", flush=True)
            except OSError as e:
                print(e.errno, flush=True)
        '''
                self.process = subprocess.Popen(
                    [sys.executable, '-c', program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            def start(self, line):
                print(line, file=self.process.stdin, flush=True)
            def answer(self):
                line = self.process.stdout.readline().strip()
                return line if line == 'ok' else int(line)
            def ask(self, line):
                self.start(line)
                return self.answer()
            def end(self):
                self.process.stdin.close()
                assert self.process.wait() == 0
        def blocked(pid):
            while True:
                with open(f'/proc/{pid}/wchan') as f:
                    if f.read().startswith(('request_wait', 'fuse')): return
                time.sleep(0.01)
        fd = os.open('f', os.O_RDWR | os.O_CREAT)
        os.write(fd, b'x' * 1000)
        other = Other()

        """;

    [Fact]
    public Task Range_locks_of_two_processes_exclude_each_other() => drive.RunAsync(Other + """
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 100, 0)
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 50)') == errno.EAGAIN
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 99)') == errno.EAGAIN
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 100)') == 'ok'
        wanted = struct.pack('hhqqhxxxxxx', fcntl.F_WRLCK, 0, 105, 1, 0)
        found = struct.unpack('hhqqhxxxxxx', fcntl.fcntl(fd, fcntl.F_GETLK, wanted))
        assert found[0] == fcntl.F_WRLCK and found[2:4] == (100, 10)
        fcntl.lockf(fd, fcntl.LOCK_UN, 60, 0)
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 60, 0)') == 'ok'
        other.end()
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        """);

    [Fact]
    public Task Who_waits_for_a_lock_gets_it_when_it_is_free() => drive.RunAsync(Other + """
        fcntl.lockf(fd, fcntl.LOCK_EX)
        other.start('fcntl.lockf(fd, fcntl.LOCK_EX)')
        blocked(other.process.pid)
        fcntl.lockf(fd, fcntl.LOCK_UN)
        assert other.answer() == 'ok'
        fails(errno.EAGAIN, fcntl.lockf, fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        other.end()
        """);

    [Fact]
    public Task A_signal_ends_the_wait_for_a_lock() => drive.RunAsync(Other + """
        def handler(number, frame): raise InterruptedError(errno.EINTR, 'signal')
        setup = 'signal.signal(signal.SIGUSR1, lambda n, f: (_ for _ in ()).throw(InterruptedError(4, "signal")))'
        assert other.ask(setup) == 'ok'
        fcntl.lockf(fd, fcntl.LOCK_EX)
        other.start('fcntl.lockf(fd, fcntl.LOCK_EX)')
        blocked(other.process.pid)
        os.kill(other.process.pid, signal.SIGUSR1)
        assert other.answer() == errno.EINTR
        fcntl.lockf(fd, fcntl.LOCK_UN)
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other.end()
        """);

    [Fact]
    public Task Of_two_who_wait_for_each_other_one_is_told() => drive.RunAsync(Other + """
        fcntl.lockf(fd, fcntl.LOCK_EX, 1, 0)
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_EX, 1, 1)') == 'ok'
        other.start('fcntl.lockf(fd, fcntl.LOCK_EX, 1, 0)')
        other.start('fcntl.lockf(fd, fcntl.LOCK_UN, 1, 1)')
        mine = 'ok'
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX, 1, 1)
        except OSError as e:
            mine = e.errno
            fcntl.lockf(fd, fcntl.LOCK_UN, 1, 0)
        answers = [mine, other.answer()]
        assert sorted(answers, key=str) == [errno.EDEADLK, 'ok'], answers  # Who asks last is told: either of them.
        assert other.answer() == 'ok'
        other.end()
        """);

    [Fact]
    public Task Closing_any_descriptor_drops_a_process_s_locks() => drive.RunAsync(Other + """
        fcntl.lockf(fd, fcntl.LOCK_EX)
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)') == errno.EAGAIN
        os.close(os.open('f', os.O_RDONLY))
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)') == 'ok'
        other.end()
        """);

    [Fact]
    public Task The_locks_of_a_killed_process_go_with_it() => drive.RunAsync(Other + """
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_EX); fcntl.flock(fd, fcntl.LOCK_EX)') == 'ok'
        fails(errno.EAGAIN, fcntl.lockf, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other.process.kill(); other.process.wait()
        fcntl.lockf(fd, fcntl.LOCK_EX)
        fcntl.flock(fd, fcntl.LOCK_EX)
        """);

    [Fact]
    public Task A_lock_of_an_open_file_goes_with_the_file_and_not_with_a_descriptor() => drive.RunAsync(Other + """
        SETLK, SETLKW = 37, 38
        lock = struct.pack('hhqqhxxxxxx', fcntl.F_WRLCK, 0, 0, 0, 0)
        mine = os.open('f', os.O_RDWR)
        fcntl.fcntl(mine, SETLK, lock)
        copy = os.dup(mine)
        os.close(os.open('f', os.O_RDONLY)); os.close(mine)
        fails(errno.EAGAIN, fcntl.fcntl, fd, SETLK, lock)
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)') == errno.EAGAIN
        os.close(copy)
        fcntl.fcntl(fd, SETLKW, lock)  # The kernel releases a file a moment after its last close.
        other.end()
        """);

    [Fact]
    public Task Whole_file_locks_belong_to_the_open_file() => drive.RunAsync(Other + """
        fcntl.flock(fd, fcntl.LOCK_SH)
        assert other.ask('fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)') == 'ok'
        fails(errno.EAGAIN, fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert other.ask('fcntl.flock(fd, fcntl.LOCK_UN)') == 'ok'
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert other.ask('fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)') == errno.EAGAIN
        assert other.ask('fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)') == 'ok'  # Another kind of lock.
        other.start('fcntl.flock(fd, fcntl.LOCK_EX)')
        blocked(other.process.pid)
        os.close(fd)
        assert other.answer() == 'ok'
        other.end()
        """);
}
