//! The sample as a pushed image: Rondel, ko and BuildKit, each to a registry on loopback behind a proxy that counts what is
//! sent. Nothing changed, one function body changed, and the first push.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};

use crate::contenders::{Contender, Lab, REGISTRY};
use crate::edit;
use crate::statistics::{Samples, table};

/// Where the proxy listens.
pub(crate) const COUNTED: &str = "127.0.0.1:5078";
static SENT: AtomicU64 = AtomicU64::new(0);

/// Measures pushes.
pub(crate) fn push(lab: &Lab, rounds: usize) -> Result<()> {
    count()?;
    let contenders = lab.pushers("bench")?;
    println!("nothing changed");
    measure(&contenders, rounds, &|_, _| Ok(()))?;
    println!("\none function body of one file changed (internal/api/health.go), to the pushed image");
    measure(&contenders, rounds, &|contender, round| edit(&contender.tree, round))?;
    println!("\nthe first push to a repository, all built");
    first(lab, rounds.min(5))?;
    println!("\nimages");
    for (contender, name) in contenders.iter().zip(["bench/rondel", "bench/ko", "bench/buildkit"]) {
        let name = format!("{REGISTRY}/{name}:latest");
        let output =
            Command::new("crane").args(["manifest", "--insecure", "--platform", "linux/amd64", &name]).output()?;
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let manifest: serde_json::Value = serde_json::from_slice(&output.stdout).context("a manifest")?;
        let layers = manifest["layers"].as_array().context("layers")?;
        let bytes: u64 = layers.iter().filter_map(|layer| layer["size"].as_u64()).sum();
        println!("  {:<34} {bytes:>10} bytes in {} layers", contender.name, layers.len());
    }
    Ok(())
}

/// Each contender to a repository that does not exist, in turns.
fn first(lab: &Lab, rounds: usize) -> Result<()> {
    let mut times: Vec<Samples> = Vec::new();
    for round in 0..=rounds {
        for (place, contender) in lab.pushers(&format!("first-{round}"))?.iter().enumerate() {
            let seconds = contender.run()?;
            match times.get_mut(place) {
                Some(times) => times.push(seconds),
                // The first of each is not counted.
                None => times.push(Samples::new(&contender.name)),
            }
        }
    }
    table(&times);
    Ok(())
}

/// Runs all in turns; prints times, and the bytes that each sent.
fn measure(contenders: &[Contender], rounds: usize, before: &dyn Fn(&Contender, usize) -> Result<()>) -> Result<()> {
    let mut times: Vec<Samples> = contenders.iter().map(|contender| Samples::new(&contender.name)).collect();
    let mut sent: Vec<u64> = vec![0; contenders.len()];
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            before(&contenders[place], round)?;
            let begun = SENT.load(Ordering::Relaxed);
            let seconds = contenders[place].run()?;
            if round > 0 {
                times[place].push(seconds);
                sent[place] += SENT.load(Ordering::Relaxed) - begun;
            }
        }
    }
    table(&times);
    for (contender, sent) in contenders.iter().zip(sent) {
        println!("  {:<34} {:>10} bytes sent a run", contender.name, sent / rounds.max(1) as u64);
    }
    Ok(())
}

/// Starts the proxy.
fn count() -> Result<()> {
    let listener = TcpListener::bind(COUNTED).context("the proxy")?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(REGISTRY) else { continue };
            let (Ok(back), Ok(forth)) = (client.try_clone(), server.try_clone()) else { continue };
            std::thread::spawn(move || pass(server, back, None));
            std::thread::spawn(move || pass(client, forth, Some(&SENT)));
        }
    });
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream, counter: Option<&AtomicU64>) {
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        if let Some(counter) = counter {
            counter.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
