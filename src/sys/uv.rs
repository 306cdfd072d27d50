//! Our part in Node's own event loop: watching a descriptor, and a word before and after each wait.
//!
//! The functions of libuv are found in the node executable when they are first needed, so that the crate links
//! without one (for `cargo test`) and a host that lacks them gives an error instead of failing to load.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::OnceLock;

use super::libc;

type Handle = *mut c_void;
type CloseCallback = unsafe extern "C" fn(Handle);
type PollCallback = unsafe extern "C" fn(Handle, c_int, c_int);
type HookCallback = unsafe extern "C" fn(Handle);

/// `UV_READABLE`.
pub const READABLE: i32 = 1;
/// `UV_WRITABLE`.
pub const WRITABLE: i32 = 2;
/// The descriptor is in error: it is not watched any more until that is asked for again.
pub const FAILED: i32 = 1 << 16;

// enum uv_handle_type
const UV_CHECK: c_int = 2;
const UV_POLL: c_int = 8;
const UV_PREPARE: c_int = 9;

macro_rules! functions {
    ($($name:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        struct Functions { $($name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)* }

        impl Functions {
            fn find() -> Option<Functions> {
                Some(Functions { $($name: {
                    let symbol = find_symbol($symbol)?;
                    // SAFETY: libuv declares the function of this name with this signature (docs.libuv.org),
                    // and its ABI is stable within version 1.
                    unsafe { std::mem::transmute::<NonNull<c_void>, unsafe extern "C" fn($($argument),*) $(-> $result)?>(symbol) }
                },)* })
            }
        }
    };
}

functions! {
    handle_size = c"uv_handle_size": fn(c_int) -> usize;
    handle_set_data = c"uv_handle_set_data": fn(Handle, *mut c_void);
    handle_get_data = c"uv_handle_get_data": fn(Handle) -> *mut c_void;
    close = c"uv_close": fn(Handle, CloseCallback);
    reference = c"uv_ref": fn(Handle);
    unreference = c"uv_unref": fn(Handle);
    poll_init = c"uv_poll_init": fn(*mut c_void, Handle, c_int) -> c_int;
    poll_start = c"uv_poll_start": fn(Handle, c_int, PollCallback) -> c_int;
    poll_stop = c"uv_poll_stop": fn(Handle) -> c_int;
    prepare_init = c"uv_prepare_init": fn(*mut c_void, Handle) -> c_int;
    prepare_start = c"uv_prepare_start": fn(Handle, HookCallback) -> c_int;
    check_init = c"uv_check_init": fn(*mut c_void, Handle) -> c_int;
    metrics_idle_time = c"uv_metrics_idle_time": fn(*mut c_void) -> u64;
    backend_fd = c"uv_backend_fd": fn(*const c_void) -> c_int;
    backend_timeout = c"uv_backend_timeout": fn(*const c_void) -> c_int;
    check_start = c"uv_check_start": fn(Handle, HookCallback) -> c_int;
}

fn find_symbol(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: dlsym with a NUL-terminated name in the global scope only looks up.
    NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}

fn functions() -> io::Result<&'static Functions> {
    static FUNCTIONS: OnceLock<Option<Functions>> = OnceLock::new();
    FUNCTIONS.get_or_init(Functions::find).as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
}

fn check(result: c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(()) }
}

/// The event loop of a Node environment. Only to be used on its own thread.
#[derive(Clone, Copy)]
pub struct EventLoop(pub(super) NonNull<c_void>);

impl EventLoop {
    /// ns that the loop has spent waiting for events since it was made.
    pub fn idle_ns(self) -> u64 {
        // SAFETY: the loop is alive as long as anything of ours runs on it; the function only reads.
        functions().map_or(0, |uv| unsafe { (uv.metrics_idle_time)(self.0.as_ptr()) })
    }

    /// Whether it has something to do and is not going to wait.
    pub fn is_busy(self) -> bool {
        // SAFETY: as above.
        functions().is_ok_and(|uv| unsafe { (uv.backend_timeout)(self.0.as_ptr()) } == 0)
    }

    /// Whether it would get events if it waited now. They stay where they are.
    pub fn has_events(self) -> bool {
        let Ok(uv) = functions() else { return true };
        // SAFETY: as above.
        let fd = unsafe { (uv.backend_fd)(self.0.as_ptr()) };
        let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: poll writes to this one entry.
        unsafe { libc::poll(&raw mut entry, 1, 0) != 0 }
    }
}

/// A handle of libuv with the closure it calls. The memory of both is freed after libuv has let go of them.
struct Raw<F: ?Sized + 'static> {
    handle: Handle,
    uv: &'static Functions,
    closed: Cell<bool>,
    _callback: std::marker::PhantomData<F>,
}

impl<F: ?Sized + 'static> Raw<F> {
    /// Memory for a handle of `kind`, made ready by `init`, with `callback` as its data.
    fn new(kind: c_int, callback: Rc<F>, init: impl FnOnce(&'static Functions, Handle) -> c_int) -> io::Result<Raw<F>> {
        let uv = functions()?;
        // SAFETY: uv_handle_size only computes; calloc returns memory aligned for any type, or null.
        let handle = unsafe { libc::calloc(1, (uv.handle_size)(kind)) };
        if handle.is_null() {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        if let Err(error) = check(init(uv, handle)) {
            // SAFETY: libuv does not keep a handle whose init failed.
            unsafe { libc::free(handle) };
            return Err(error);
        }
        // A thin pointer to the (possibly wide) reference.
        let data = Box::into_raw(Box::new(callback));
        // SAFETY: the handle is initialised; `data` is freed in `freed` alone.
        unsafe { (uv.handle_set_data)(handle, data.cast()) };
        Ok(Raw { handle, uv, closed: Cell::new(false), _callback: std::marker::PhantomData })
    }

    /// A reference of its own to the closure, so that it may close the handle that runs it.
    ///
    /// # Safety
    /// `handle` was made by `Raw::<F>::new` and is not freed yet.
    unsafe fn callback(handle: Handle) -> Option<Rc<F>> {
        let uv = functions().ok()?;
        // SAFETY: per the contract above the data is the box that `new` made.
        unsafe { Some(Rc::clone(&*(uv.handle_get_data)(handle).cast::<Rc<F>>())) }
    }

    unsafe extern "C" fn freed(handle: Handle) {
        if let Ok(uv) = functions() {
            // SAFETY: libuv calls this once, after its last use of the handle; `new` made both.
            unsafe {
                drop(Box::from_raw((uv.handle_get_data)(handle).cast::<Rc<F>>()));
                libc::free(handle);
            }
        }
    }

    fn set_ref(&self, referenced: bool) {
        if self.closed.get() {
            return;
        }
        let function = if referenced { self.uv.reference } else { self.uv.unreference };
        // SAFETY: the handle lives until `close`, after which `closed` is set.
        unsafe { function(self.handle) };
    }

    fn close(&self) {
        if !self.closed.replace(true) {
            // SAFETY: closed once only; the memory stays until `freed`.
            unsafe { (self.uv.close)(self.handle, Self::freed) };
        }
    }
}

impl<F: ?Sized + 'static> Drop for Raw<F> {
    fn drop(&mut self) {
        self.close();
    }
}

type PollFunction = dyn Fn(i32);

/// Watches one descriptor on Node's event loop. The descriptor must stay open until this is dropped or closed.
pub struct Poll {
    raw: Raw<PollFunction>,
    watched: Rc<Cell<i32>>,
}

impl Poll {
    /// `callback` is called with [`READABLE`] and [`WRITABLE`] bits; an error of the descriptor is both, and [`FAILED`].
    /// Starts idle and unreferenced: it does not keep the process alive.
    pub fn new(event_loop: EventLoop, fd: BorrowedFd, callback: Rc<PollFunction>) -> io::Result<Poll> {
        let number = fd.as_raw_fd();
        let watched = Rc::new(Cell::new(0));
        let seen = Rc::clone(&watched);
        let callback: Rc<PollFunction> = Rc::new(move |events| {
            if events & FAILED != 0 {
                // libuv has stopped watching.
                seen.set(0);
            }
            callback(events);
        });
        // SAFETY: the loop is alive and this is its thread; the memory is a uv_poll_t's.
        let raw =
            Raw::new(UV_POLL, callback, |uv, handle| unsafe { (uv.poll_init)(event_loop.0.as_ptr(), handle, number) })?;
        raw.set_ref(false);
        Ok(Poll { raw, watched })
    }

    /// What to wait for: any of [`READABLE`] and [`WRITABLE`]; 0 stops.
    pub fn watch(&self, events: i32) -> io::Result<()> {
        // Starting it again with what it has would cost system calls.
        if self.raw.closed.get() || self.watched.get() == events {
            return Ok(());
        }
        self.watched.set(events);
        // SAFETY: the handle is initialised and not closed.
        check(unsafe {
            if events == 0 {
                (self.raw.uv.poll_stop)(self.raw.handle)
            } else {
                (self.raw.uv.poll_start)(self.raw.handle, events, Self::ready)
            }
        })
    }

    unsafe extern "C" fn ready(handle: Handle, status: c_int, events: c_int) {
        // SAFETY: libuv passes the handle that `new` made.
        if let Some(callback) = unsafe { Raw::<PollFunction>::callback(handle) } {
            guard(|| callback(if status < 0 { READABLE | WRITABLE | FAILED } else { events }));
        }
    }

    /// Whether waiting keeps the process alive.
    pub fn set_ref(&self, referenced: bool) {
        self.raw.set_ref(referenced);
    }

    /// Stops for good.
    pub fn close(&self) {
        self.raw.close();
    }
}

type HookFunction = dyn Fn();

/// A function that the loop calls on each turn; never keeps the process alive.
pub struct Hook {
    _raw: Raw<HookFunction>,
}

impl Hook {
    /// Called before the loop waits for events.
    pub fn before_wait(event_loop: EventLoop, callback: Rc<HookFunction>) -> io::Result<Hook> {
        // SAFETY: as in `Poll::new`.
        Hook::start(
            Raw::new(UV_PREPARE, callback, |uv, handle| unsafe { (uv.prepare_init)(event_loop.0.as_ptr(), handle) })?,
            |uv| uv.prepare_start,
        )
    }

    /// Called after the loop has waited and run the callbacks of what was ready.
    pub fn after_wait(event_loop: EventLoop, callback: Rc<HookFunction>) -> io::Result<Hook> {
        // SAFETY: as in `Poll::new`.
        Hook::start(
            Raw::new(UV_CHECK, callback, |uv, handle| unsafe { (uv.check_init)(event_loop.0.as_ptr(), handle) })?,
            |uv| uv.check_start,
        )
    }

    fn start(
        raw: Raw<HookFunction>,
        function: impl FnOnce(&'static Functions) -> unsafe extern "C" fn(Handle, HookCallback) -> c_int,
    ) -> io::Result<Hook> {
        // SAFETY: the handle is initialised and of the kind that the function starts.
        check(unsafe { function(raw.uv)(raw.handle, Self::turn) })?;
        raw.set_ref(false);
        Ok(Hook { _raw: raw })
    }

    unsafe extern "C" fn turn(handle: Handle) {
        // SAFETY: libuv passes the handle that `start` got.
        if let Some(callback) = unsafe { Raw::<HookFunction>::callback(handle) } {
            guard(|| callback());
        }
    }
}

/// Runs `body`, which C called: a panic must not unwind into C. It is a bug of ours: it is printed by the panic
/// hook, and this one event is lost.
fn guard(body: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(body));
}
