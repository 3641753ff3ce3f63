//! How all commands print: what nobody reads is not printed, and the command goes on.
//!
//! The standard macros panic when the reader of a pipe has gone (`lockstep check | head`). [`cli`](super) therefore has its own
//! of the same names, which its commands use without knowing. An output that fails otherwise (a full disk) is told once, and
//! the command then ends with exit code 1.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};

static FAILED: AtomicBool = AtomicBool::new(false);

/// Writes to the standard output.
pub fn out(text: Arguments<'_>) {
    if let Err(error) = write(&mut stdout().lock(), text)
        && !FAILED.swap(true, Ordering::Relaxed)
    {
        err(format_args!("the output cannot be written: {error}\n"));
    }
}

/// Writes to the standard error output. Where that fails there is nobody left to tell.
pub fn err(text: Arguments<'_>) {
    write(&mut stderr().lock(), text).ok();
}

/// Whether something could not be written, though somebody may have wanted to read it.
pub fn failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

fn write(to: &mut impl Write, text: Arguments<'_>) -> io::Result<()> {
    match to.write_fmt(text).and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Closed(ErrorKind);

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_failure_and_a_full_disk_is() {
        assert!(write(&mut Closed(ErrorKind::BrokenPipe), format_args!("text\n")).is_ok());
        assert!(write(&mut Closed(ErrorKind::StorageFull), format_args!("text\n")).is_err());
        let mut held = Vec::new();
        write(&mut held, format_args!("{} of {}\n", 1, 2)).unwrap();
        assert_eq!(held, b"1 of 2\n");
    }
}
