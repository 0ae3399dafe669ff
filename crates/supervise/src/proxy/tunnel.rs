//! A connection that is passed on as bytes, in both directions and to the end of each. Knows nothing of what they mean.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::shared::UnderWay;
use super::side::Side;

/// How one direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    /// Whoever was read from has nothing more to say.
    Ended,
    /// Whoever was read from has gone.
    SourceGone,
    /// Whoever was written to takes no more.
    TargetGone,
}

/// Passes everything on. `under_way` lasts until the service has said all.
pub(crate) fn tunnel(client: &mut Side, mut service: Side, under_way: Option<UnderWay<'_>>) {
    let (ahead, said) = (std::mem::take(&mut client.read), std::mem::take(&mut service.read));
    let (from, to) = (&client.stream, &service.stream);
    let (up, down) = std::thread::scope(|scope| {
        let up = std::thread::Builder::new().spawn_scoped(scope, move || {
            let passed = pass(from, &ahead, to);
            let _ = match passed {
                Passed::Ended => to.shutdown(Shutdown::Write),
                Passed::SourceGone => to.shutdown(Shutdown::Both),
                // It may have said something before.
                Passed::TargetGone => Ok(()),
            };
            passed
        });
        let Ok(up) = up else { return (Passed::Ended, Passed::SourceGone) };
        let down = pass(to, &said, from);
        drop(under_way);
        match down {
            Passed::Ended => drop(from.shutdown(Shutdown::Write)),
            // Wakes the other direction, and tells the client nothing: it is to see a reset.
            Passed::SourceGone => drop(from.shutdown(Shutdown::Read)),
            Passed::TargetGone => {
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            }
        }
        (up.join().unwrap_or(Passed::SourceGone), down)
    });
    if up == Passed::SourceGone {
        service.reset();
    }
    if down == Passed::SourceGone {
        client.reset();
    }
    client.has_ended |= up != Passed::TargetGone;
}

fn pass(mut from: &TcpStream, ahead: &[u8], mut to: &TcpStream) -> Passed {
    if to.write_all(ahead).is_err() {
        return Passed::TargetGone;
    }
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Passed::Ended,
            Ok(count) if to.write_all(&buffer[..count]).is_ok() => {}
            Ok(_) => return Passed::TargetGone,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Passed::SourceGone,
        }
    }
}
