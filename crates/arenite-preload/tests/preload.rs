//! The library in unchanged programs: every function, threads, forks, misuse and statistics.
#![expect(clippy::unwrap_used, reason = "the helpers of a test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Returns the library, which lies beside the test or in a directory above.
fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().map(|dir| dir.join("libarenite_preload.so")).find(|path| path.is_file());
    found.expect("the library is built with its tests")
}

/// Compiles a C program. Returns `None`, with a printed line, if there is no compiler.
fn compiled(dir: &Path, name: &str, source: &str) -> Option<PathBuf> {
    let (file, program) = (dir.join(format!("{name}.c")), dir.join(name));
    std::fs::write(&file, source).unwrap();
    let made = Command::new("cc")
        .args(["-O1", "-fno-builtin", "-w", "-pthread", "-o"])
        .args([&program, &file])
        .output();
    match made {
        Ok(made) => {
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            Some(program)
        }
        Err(_) => {
            println!("skipped: there is no C compiler `cc`");
            None
        }
    }
}

fn preloaded(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("LD_PRELOAD", library());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn n08_every_c_function_follows_its_rules() {
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = compiled(dir.path(), "malloc_api", include_str!("malloc_api.c")) else { return };
    let output: Output = preloaded(&program).output().unwrap();
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("fine\n", ""));
    assert!(output.status.success());
    let output = preloaded(&program).env("ARENITE_HARDENED", "1").output().unwrap();
    assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("fine\n", ""));
    // the statistics of the same run show that this library served it
    let stats = dir.path().join("stats.json");
    assert!(preloaded(&program).env("ARENITE_STATS", &stats).output().unwrap().status.success());
    let lines = std::fs::read_to_string(&stats).unwrap();
    assert_eq!(lines.lines().count(), 1, "children end by _exit and report nothing: {lines}");
    assert!(lines.contains("\"name\":\"malloc_api\"") && lines.contains("\"peak_in_use_bytes\":"), "{lines}");
}

#[test]
fn n10_an_invalid_free_ends_the_program_with_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stdlib.h>\nint main(int n, char **a) { static char s[64]; \
                  if (n > 1) return realloc(s + 8, 9) != 0; free(s + 8); return 0; }";
    let Some(program) = compiled(dir.path(), "foreign", source) else { return };
    for (args, call) in [(&[][..], "free(0x"), (&["realloc"][..], "realloc(0x")] {
        let output = preloaded(&program).args(args).output().unwrap();
        let error = text(&output.stderr);
        assert!(error.starts_with(&format!("arenite: {call}")) && error.contains("not a block"), "{error}");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(6));
    }
}

#[test]
fn n10_a_hardened_program_aborts_with_a_report_on_misuse() {
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stdlib.h>\n#include <string.h>\nint main(int n, char **a) { char *volatile p = malloc(100); \
        memset(p, 1, 100); switch (a[1][0]) { case 'd': free(p); free(p); break; case 'o': p[103] = 9; free(p); break; \
        case 'i': free(p + 16); break; case 'u': free(p); p[50] = 1; for (int i = 0; i < 300000; i++) free(malloc(100)); \
        break; case 'g': { volatile char *q = malloc(65536); for (int i = 0; i < 1 << 20; i++) q[i] = 1; } } return 0; }";
    let Some(program) = compiled(dir.path(), "misuse", source) else { return };
    let cases = [
        ("d", "double free: the block is already free; block 0x"),
        ("o", "buffer overflow: written beyond the requested size; block 0x"),
        ("i", "interior pointer: inside a block, not its start"),
        ("u", "write after free; block 0x"),
    ];
    for (case, says) in cases {
        let output = preloaded(&program).arg(case).env("ARENITE_HARDENED", "1").output().unwrap();
        let error = text(&output.stderr);
        assert!(error.starts_with("arenite: heap misuse: 0x") && error.contains(says), "{case}: {error}");
        if case != "i" {
            assert!(error.contains(" of 100 bytes; ") && error.contains("by thread 1"), "{case}: {error}");
        }
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(6));
    }
    let output = preloaded(&program).arg("g").env("ARENITE_HARDENED", "1").output().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(11), "the guard page");
}

#[test]
fn n08_statistics_are_written_at_exit_and_invalid_variables_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stdlib.h>\n#include <string.h>\nint main(void) { char *p = malloc(30 << 20); \
                  memset(p, 1, 30 << 20); free(p); return 3; }";
    let Some(program) = compiled(dir.path(), "large", source) else { return };
    let output =
        preloaded(&program).env("ARENITE_STATS", "1").env("ARENITE_DECAY_MS", "soon").output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3));
    assert!(error.contains("ignoring ARENITE_DECAY_MS: must be a whole number of milliseconds"), "{error}");
    assert!(error.contains("peak in use         30 MiB") && error.contains("max RSS"), "{error}");
    for off in ["", "0"] {
        let output = preloaded(&program).env("ARENITE_STATS", off).current_dir(dir.path()).output().unwrap();
        assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(3), ""), "off: {off:?}");
        assert!(!dir.path().join("0").exists());
    }
    let output = preloaded(&program).env("ARENITE_STATS", "/nosuch/dir/file").output().unwrap();
    assert!(
        text(&output.stderr).contains("cannot write the file that ARENITE_STATS names"),
        "{}",
        text(&output.stderr)
    );
    let quiet = preloaded(&program)
        .env("ARENITE_BACKGROUND_THREAD", "1")
        .env("ARENITE_DECAY_MS", "5")
        .output()
        .unwrap();
    assert_eq!((quiet.status.code(), text(&quiet.stderr).as_str()), (Some(3), ""));
}

#[test]
fn n08_every_function_fails_cleanly_when_memory_is_exhausted() {
    let dir = tempfile::tempdir().unwrap();
    let Some(program) = compiled(dir.path(), "exhausted", include_str!("exhausted.c")) else { return };
    // each limit fails at another step: the first arena, a second arena, a thread heap, a region
    // of a large block
    for limit in [0, 3, 100, 600] {
        for way in 0..5 {
            for hardened in if way < 2 { &["0", "1"][..] } else { &["0"][..] } {
                let output = preloaded(&program)
                    .args([limit.to_string(), way.to_string()])
                    .env("ARENITE_HARDENED", hardened)
                    .output()
                    .unwrap();
                let (out, error) = (text(&output.stdout), text(&output.stderr));
                assert_eq!(
                    (out.as_str(), error.as_str()),
                    ("fine\n", ""),
                    "{limit} MiB, way {way}, hardened {hardened}"
                );
            }
        }
    }
}

#[test]
fn n08_a_background_thread_releases_memory_when_the_program_is_idle() {
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n\
        static long pages(void) { long all, here; FILE *f = fopen(\"/proc/self/statm\", \"r\"); \
        fscanf(f, \"%ld %ld\", &all, &here); fclose(f); return here; }\n\
        int main(void) { static char *p[2000]; for (int i = 0; i < 2000; i++) { p[i] = malloc(100000); \
        memset(p[i], 1, 100000); } for (int i = 0; i < 2000; i++) free(p[i]); long full = pages(); \
        for (int i = 0; i < 100 && pages() > full / 5; i++) usleep(100000); return pages() > full / 5; }";
    let Some(program) = compiled(dir.path(), "idle", source) else { return };
    let status = preloaded(&program)
        .env("ARENITE_BACKGROUND_THREAD", "1")
        .env("ARENITE_DECAY_MS", "100")
        .status()
        .unwrap();
    assert!(status.success(), "the freed memory is still resident");
}

#[test]
fn n08_unchanged_programs_print_the_same_output() {
    let script = "import threading, multiprocessing, json\n\
        def work(n): return sum(len(str(i) * (i % 50)) for i in range(n))\n\
        if __name__ == '__main__':\n\
        \x20   threads = [threading.Thread(target=work, args=(20000,)) for _ in range(8)]\n\
        \x20   [t.start() for t in threads]; [t.join() for t in threads]\n\
        \x20   with multiprocessing.Pool(3) as pool: print(sum(pool.map(work, [9000] * 6)))\n";
    let programs: &[(&str, &[&str])] = &[
        ("python3", &["-c", script]),
        ("perl", &["-e", "$h{$_} = 'x' x ($_ % 90) for 1..90000; print scalar(keys %h), qq(\\n)"]),
        ("cc", &["--version"]),
        ("git", &["--version"]),
        ("sh", &["-c", "for i in 1 2 3 4 5 6 7 8; do echo $i | sort; done"]),
    ];
    for (program, args) in programs {
        let Ok(plain) = Command::new(program).args(*args).output() else {
            println!("skipped: there is no {program}");
            continue;
        };
        let with = preloaded(program).args(*args).output().unwrap();
        assert_eq!((text(&with.stdout), with.status), (text(&plain.stdout), plain.status), "{program}");
        assert!(!plain.stdout.is_empty(), "{program} printed nothing");
    }
}

#[test]
fn a_renamed_variable_is_reported_and_has_no_effect_when_it_is_set() {
    for value in ["1", "yes"] {
        let output = preloaded("true").env("ARENITE_BACKGROUND", value).output().unwrap();
        assert!(output.status.success());
        assert_eq!(text(&output.stderr), "arenite: ARENITE_BACKGROUND is now ARENITE_BACKGROUND_THREAD\n");
    }
    let output = preloaded("true").env("ARENITE_BACKGROUND", "").output().unwrap();
    assert_eq!(text(&output.stderr), "", "an empty variable counts as unset");
}

#[test]
fn every_variable_that_is_read_is_documented() {
    let (code, document) = (include_str!("../src/options.rs"), include_str!("../../../docs/preload.md"));
    let names = ["value(c\"", "switch(c\""].iter().flat_map(|call| code.split(call).skip(1));
    let names = names.map(|rest| rest.split('"').next().unwrap());
    let names: std::collections::BTreeSet<_> = names.collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(document.contains(&format!("| `{name}` |")), "{name} is missing in docs/preload.md");
    }
}
