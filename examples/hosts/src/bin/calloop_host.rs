//! mainspring driven by calloop, the loop of many Wayland compositors and clients.
//!
//! calloop watches the runtime's descriptor, level-triggered, and nothing else of it: the deadlines
//! come through the descriptor, too (`timer_fd`).
//!
//! ```text
//! cargo run -p mainspring-hosts --bin calloop_host
//! ```

use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventLoop, Interest, LoopSignal, Mode, PostAction};
use mainspring::net::{TcpListener, TcpStream};
use mainspring::time::sleep;
use mainspring::{Budget, LocalRuntime};
use std::cell::Cell;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let rt = Rc::new(LocalRuntime::builder().timer_fd(true).build()?);
    let mut host: EventLoop<'_, Host> = EventLoop::try_new()?;

    // The descriptor is the runtime's own; what is given away is a copy.
    let descriptor = rustix::io::dup(rt.as_fd())?;
    let source = Generic::new(descriptor, Interest::READ, Mode::Level);
    let guest = Rc::clone(&rt);
    host.handle().insert_source(source, move |_, _, host| {
        host.turns += 1;
        let report = guest.turn(Budget::new().max_time(Duration::from_millis(2)));
        report.map_err(io::Error::other)?;
        Ok(PostAction::Continue)
    })?;
    // What the host does itself.
    host.handle().insert_source(Timer::immediate(), |_, _, host| {
        host.frames += 1;
        TimeoutAction::ToDuration(Duration::from_millis(16))
    })?;

    let echoed = Rc::new(Cell::new(0));
    let task = rt.spawn_local(echo(Rc::clone(&echoed)));
    let mut state = Host { frames: 0, turns: 0, signal: host.get_signal() };
    host.run(None, &mut state, |state| {
        if task.is_finished() {
            state.signal.stop();
        }
    })?;
    rt.block_on(task)??;
    println!(
        "calloop: {} frames of its own, {} turns of the guest, {} echoes",
        state.frames,
        state.turns,
        echoed.get()
    );
    assert_eq!(echoed.get(), 50);
    Ok(())
}

struct Host {
    frames: u32,
    turns: u32,
    signal: LoopSignal,
}

/// Fifty times there and back, with a pause in between.
async fn echo(echoed: Rc<Cell<u32>>) -> io::Result<()> {
    let listener = TcpListener::bind(([127, 0, 0, 1], 0))?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, _) = listener.accept().await?;
    let answering = mainspring::spawn_local(async move {
        let mut buffer = [0; 16];
        while let count @ 1.. = server.read(&mut buffer).await? {
            server.write_all(&buffer[..count]).await?;
        }
        Ok::<_, io::Error>(())
    });
    for _ in 0..50 {
        client.write_all(b"ping").await?;
        let mut buffer = [0; 16];
        let count = client.read(&mut buffer).await?;
        assert_eq!(&buffer[..count], b"ping");
        echoed.set(echoed.get() + 1);
        sleep(Duration::from_millis(3)).await;
    }
    drop(client);
    answering.await.map_err(io::Error::other)?
}
