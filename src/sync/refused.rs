//! What the compiler refuses, and must go on refusing: examples that do not compile.

/// What the compiler refuses, and must go on refusing.
///
/// A value that cannot be sent to another thread cannot be sent through a channel to one:
///
/// ```compile_fail,E0277
/// let (sender, receiver) = mainspring::sync::oneshot::channel::<std::rc::Rc<u32>>();
/// std::thread::spawn(move || drop(receiver));
/// # drop(sender);
/// ```
///
/// A channel of values that live long takes none that lives short:
///
/// ```compile_fail,E0597
/// let (sender, receiver) = mainspring::sync::oneshot::channel::<&'static str>();
/// let short = String::from("short");
/// let _ = sender.send(&short);
/// # drop(receiver);
/// ```
///
/// ```compile_fail
/// use mainspring::sync::oneshot::Sender;
/// fn shorten<'a>(sender: Sender<&'static str>) -> Sender<&'a str> {
///     sender
/// }
/// ```
///
/// A permit does not outlive its semaphore:
///
/// ```compile_fail,E0597
/// use mainspring::sync::Semaphore;
/// let _permit = {
///     let semaphore = Semaphore::new(1);
///     semaphore.try_acquire()
/// };
/// ```
///
/// Nor does one who waits outlive the event:
///
/// ```compile_fail,E0505
/// let event = mainspring::sync::Event::new();
/// let wait = event.wait();
/// drop(event);
/// drop(wait);
/// ```
///
/// A mutex of a value that cannot be sent is not shared with another thread:
///
/// ```compile_fail,E0277
/// let mutex = mainspring::sync::Mutex::new(std::rc::Rc::new(1));
/// std::thread::scope(|scope| {
///     scope.spawn(|| drop(mutex.try_lock()));
/// });
/// ```
///
/// A guard of a value that cannot be shared is not shared, nor is one of a part of it:
///
/// ```compile_fail,E0277
/// let mutex = mainspring::sync::Mutex::new(std::cell::Cell::new(1));
/// let guard = mutex.try_lock().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(|| guard.set(2));
/// });
/// ```
///
/// ```compile_fail,E0277
/// use mainspring::sync::mutex::MutexGuard;
/// let mutex = mainspring::sync::Mutex::new((std::cell::Cell::new(1), 2));
/// let guard = MutexGuard::map(mutex.try_lock().unwrap(), |pair| &mut pair.0);
/// std::thread::scope(|scope| {
///     scope.spawn(|| guard.set(2));
/// });
/// ```
///
/// What a guard was mapped to is sent only if it can be, whatever the mutex is of:
///
/// ```compile_fail,E0277
/// use mainspring::sync::mutex::MutexGuard;
/// let mutex = mainspring::sync::Mutex::new(1);
/// let guard = MutexGuard::map(mutex.try_lock().unwrap(), |_| {
///     Box::leak(Box::new(std::rc::Rc::new(1)))
/// });
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
///
/// ```compile_fail,E0277
/// use mainspring::sync::mutex::OwnedMutexGuard;
/// let mutex = std::sync::Arc::new(mainspring::sync::Mutex::new(1));
/// let guard = OwnedMutexGuard::map(mutex.try_lock_owned().unwrap(), |_| {
///     Box::leak(Box::new(std::rc::Rc::new(1)))
/// });
/// std::thread::spawn(move || drop(guard));
/// ```
///
/// A write guard, which can become one that reads beside others, is not sent to where the value must
/// not be shared:
///
/// ```compile_fail,E0277
/// let lock = mainspring::sync::RwLock::new(std::cell::Cell::new(1));
/// let guard = lock.try_write().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
///
/// ```compile_fail,E0277
/// let lock = mainspring::sync::RwLock::new(std::cell::Cell::new(1));
/// let guard = lock.try_read().unwrap();
/// std::thread::scope(|scope| {
///     scope.spawn(move || drop(guard));
/// });
/// ```
///
/// A mapped guard, which may write, does not pass for one of a value that lives shorter:
///
/// ```compile_fail
/// use mainspring::sync::mutex::MappedMutexGuard;
/// fn shorten<'g, 'a>(
///     guard: MappedMutexGuard<'g, &'static str>,
/// ) -> MappedMutexGuard<'g, &'a str> {
///     guard
/// }
/// ```
///
/// ```compile_fail
/// use mainspring::sync::mutex::OwnedMappedMutexGuard;
/// fn shorten<'a>(
///     guard: OwnedMappedMutexGuard<u32, &'static str>,
/// ) -> OwnedMappedMutexGuard<u32, &'a str> {
///     guard
/// }
/// ```
///
/// ```compile_fail
/// use mainspring::sync::rwlock::RwLockMappedWriteGuard;
/// fn shorten<'g, 'a>(
///     guard: RwLockMappedWriteGuard<'g, &'static str>,
/// ) -> RwLockMappedWriteGuard<'g, &'a str> {
///     guard
/// }
/// ```
///
/// ```compile_fail
/// use mainspring::sync::rwlock::OwnedRwLockMappedWriteGuard;
/// fn shorten<'a>(
///     guard: OwnedRwLockMappedWriteGuard<u32, &'static str>,
/// ) -> OwnedRwLockMappedWriteGuard<u32, &'a str> {
///     guard
/// }
/// ```
///
/// What is locked is not used after the guard, nor the guard after the mutex:
///
/// ```compile_fail,E0505
/// let mutex = mainspring::sync::Mutex::new(1);
/// let guard = mutex.try_lock().unwrap();
/// let value = &*guard;
/// drop(guard);
/// let _ = *value;
/// ```
///
/// ```compile_fail,E0505
/// let mutex = mainspring::sync::Mutex::new(1);
/// let wait = mutex.lock();
/// drop(mutex);
/// drop(wait);
/// ```
///
/// The condition variable outlives who waits in it:
///
/// ```compile_fail,E0505
/// let (mutex, condvar) = (mainspring::sync::Mutex::new(1), mainspring::sync::Condvar::new());
/// let wait = condvar.wait(mutex.try_lock().unwrap());
/// drop(condvar);
/// drop(wait);
/// ```
///
/// ```compile_fail,E0277
/// let (sender, receiver) = mainspring::sync::mpsc::channel::<std::rc::Rc<u32>>(1);
/// std::thread::spawn(move || drop(sender));
/// # drop(receiver);
/// ```
///
/// ```compile_fail,E0277
/// let (sender, receiver) = mainspring::sync::mpsc::channel::<std::rc::Rc<u32>>(1);
/// let permit = sender.try_reserve_owned().unwrap();
/// std::thread::spawn(move || drop(permit));
/// # drop(receiver);
/// ```
///
/// What waits to send a message does not show it to another thread, if it must not be shared:
///
/// ```compile_fail,E0277
/// use std::cell::Cell;
/// let (sender, _receiver) = mainspring::sync::mpsc::channel::<Cell<u32>>(1);
/// let sending = sender.send(Cell::new(1));
/// std::thread::scope(|scope| {
///     scope.spawn(|| { &sending; });
/// });
/// ```
///
/// A permit does not outlive its sender, nor change the life of what it sends:
///
/// ```compile_fail,E0505
/// let (sender, _receiver) = mainspring::sync::mpsc::channel::<u32>(1);
/// let permit = sender.try_reserve();
/// drop(sender);
/// drop(permit);
/// ```
///
/// ```compile_fail
/// use mainspring::sync::mpsc::Sender;
/// fn shorten<'a>(sender: Sender<&'static str>) -> Sender<&'a str> {
///     sender
/// }
/// ```
///
/// A value that many receivers look at, or clone, at the same time must be fit for that:
///
/// ```compile_fail,E0277
/// use std::cell::Cell;
/// let (sender, mut receiver) = mainspring::sync::broadcast::channel::<Cell<u32>>(1);
/// std::thread::spawn(move || receiver.try_recv());
/// # drop(sender);
/// ```
///
/// ```compile_fail,E0277
/// use std::cell::Cell;
/// let (sender, receiver) = mainspring::sync::watch::channel(Cell::new(1));
/// std::thread::spawn(move || drop(receiver.borrow()));
/// # drop(sender);
/// ```
///
/// Nor is a snapshot of such a value sent:
///
/// ```compile_fail,E0277
/// use std::cell::Cell;
/// let (_sender, receiver) = mainspring::sync::watch::channel(Cell::new(1));
/// let snapshot = receiver.borrow();
/// std::thread::spawn(move || drop(snapshot));
/// ```
///
/// A future of the next message is the only one that receives:
///
/// ```compile_fail,E0499
/// let (_sender, mut receiver) = mainspring::sync::broadcast::channel::<u32>(1);
/// let first = receiver.recv();
/// let second = receiver.recv();
/// drop((first, second));
/// ```
///
/// One who waits for a token does not outlive it:
///
/// ```compile_fail,E0505
/// let token = mainspring::sync::CancelToken::new();
/// let wait = token.cancelled();
/// drop(token);
/// drop(wait);
/// ```
///
/// A cell that is shared between threads shares its value, which then must bear that:
///
/// ```compile_fail,E0277
/// let cell = mainspring::sync::OnceCell::from(std::cell::Cell::new(1));
/// std::thread::scope(|scope| {
///     scope.spawn(|| cell.get().unwrap().set(2));
/// });
/// ```
///
/// ```compile_fail,E0277
/// let once = mainspring::sync::SetOnce::from(std::cell::Cell::new(1));
/// std::thread::scope(|scope| {
///     scope.spawn(|| once.get().unwrap().set(2));
/// });
/// ```
///
/// A value that must stay on its thread does not leave it inside a cell:
///
/// ```compile_fail,E0277
/// let cell = mainspring::sync::OnceCell::from(std::rc::Rc::new(1));
/// std::thread::spawn(move || drop(cell));
/// ```
///
/// A reference to the value does not outlive the cell, nor that the value is taken:
///
/// ```compile_fail,E0502
/// let mut cell = mainspring::sync::OnceCell::from(String::new());
/// let value = cell.get();
/// cell.take();
/// drop(value);
/// ```
///
/// A cell of values that live long takes none that lives short:
///
/// ```compile_fail,E0597
/// let cell = mainspring::sync::OnceCell::<&'static str>::new();
/// let short = String::from("short");
/// let _ = cell.set(&short);
/// ```
///
/// A token does not outlive its limiter, nor one who waits what it waits for:
///
/// ```compile_fail,E0597
/// use mainspring::sync::CapacityLimiter;
/// let _token = {
///     let limiter = CapacityLimiter::new(1);
///     limiter.try_acquire_on_behalf_of(1)
/// };
/// ```
///
/// ```compile_fail,E0505
/// let notify = mainspring::sync::Notify::new();
/// let notified = notify.notified();
/// drop(notify);
/// drop(notified);
/// ```
///
/// ```compile_fail,E0505
/// let barrier = mainspring::sync::Barrier::new(2);
/// let wait = barrier.wait();
/// drop(barrier);
/// drop(wait);
/// ```
pub struct Refused;
