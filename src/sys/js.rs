//! Values and calls at the edge to JavaScript that the `napi` crate has no fast or safe form for.

use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::atomic::AtomicU64;

use napi::bindgen_prelude::Unknown;
use napi::{Env, JsValue, Result, Status, check_status, sys};

use super::uv::EventLoop;

/// The event loop that `env` runs on.
pub fn event_loop(env: &Env) -> Result<EventLoop> {
    let mut event_loop = ptr::null_mut();
    // SAFETY: `env` is alive; the result is written to a local of the right type.
    check_status!(unsafe { sys::napi_get_uv_event_loop(env.raw(), &raw mut event_loop) })?;
    let event_loop =
        NonNull::new(event_loop.cast::<c_void>()).ok_or_else(|| napi::Error::from_status(Status::GenericFailure))?;
    Ok(EventLoop(event_loop))
}

/// One argument of a call into JavaScript.
pub enum Argument {
    /// A number.
    Int(i32),
    /// A number that is not negative.
    Unsigned(u32),
    /// Bytes of UTF-8 that become a string.
    Text(Vec<u8>),
    /// Bytes that become a Buffer.
    Bytes(Vec<u8>),
    /// A Buffer.
    Buffer(HeldBuffer),
}

/// The most arguments of one call.
const MAX_ARGUMENTS: usize = 4;

/// Buffers up to this size are copied, larger ones are given to JavaScript as they are.
const COPY_LIMIT: usize = 16 * 1024;

/// A JavaScript function that the event loop calls, as Node calls its own: with the queues of ticks and microtasks
/// run afterwards, and an exception reported as uncaught.
pub struct Callback {
    env: sys::napi_env,
    function: sys::napi_ref,
    context: sys::napi_async_context,
}

impl Callback {
    /// Keeps `function` alive until dropped. `name` is what async hooks see.
    pub fn new<'env>(env: &Env, name: &str, function: &impl JsValue<'env>) -> Result<Callback> {
        let (mut reference, mut label, mut context) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: all values are alive during this call; results go to locals.
        unsafe {
            check_status!(sys::napi_create_string_utf8(
                env.raw(),
                name.as_ptr().cast(),
                name.len() as isize,
                &raw mut label
            ))?;
            check_status!(sys::napi_async_init(env.raw(), ptr::null_mut(), label, &raw mut context))?;
            check_status!(sys::napi_create_reference(env.raw(), function.raw(), 1, &raw mut reference))?;
        }
        Ok(Callback { env: env.raw(), function: reference, context })
    }

    /// Calls it once. See [`Callback::call_each`].
    pub fn call(&self, arguments: impl IntoIterator<Item = Argument>) -> bool {
        self.call_each(std::iter::once(arguments))
    }

    /// Calls it once for each set of arguments, in one callback of the event loop. A call that throws is reported
    /// and does not keep the next from being made. Only to be used on the event loop's thread, outside of JavaScript.
    /// Returns whether all were made: an argument may be too large for the engine, or the environment be going away.
    pub fn call_each<A: IntoIterator<Item = Argument>>(&self, calls: impl Iterator<Item = A>) -> bool {
        let mut made = false;
        self.in_scope(|_| {
            made = true;
            for arguments in calls {
                made &= self.call_in_scope(arguments).is_ok();
            }
        });
        made
    }

    /// Does something within a callback of the event loop, outside of which there is nothing of JavaScript's, unless the environment is going away.
    pub fn in_scope(&self, body: impl FnOnce(sys::napi_env)) {
        let (mut handles, mut scope, mut resource) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: the environment outlives its event loop's callbacks; what is opened is closed below.
        unsafe {
            if sys::napi_open_handle_scope(self.env, &raw mut handles) != sys::Status::napi_ok {
                return;
            }
            sys::napi_get_global(self.env, &raw mut resource);
            if sys::napi_open_callback_scope(self.env, resource, self.context, &raw mut scope) == sys::Status::napi_ok {
                body(self.env);
                sys::napi_close_callback_scope(self.env, scope);
            }
            sys::napi_close_handle_scope(self.env, handles);
        }
    }

    fn call_in_scope(&self, arguments: impl IntoIterator<Item = Argument>) -> Result<()> {
        let mut values = [ptr::null_mut(); MAX_ARGUMENTS];
        let mut count = 0;
        for (slot, argument) in values.iter_mut().zip(arguments) {
            *slot = self.value(argument)?;
            count += 1;
        }
        let (mut function, mut receiver, mut returned) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: a handle scope is open; all results are written to locals; `values` holds `count` values.
        let status = unsafe {
            check_status!(sys::napi_get_reference_value(self.env, self.function, &raw mut function))?;
            check_status!(sys::napi_get_undefined(self.env, &raw mut receiver))?;
            sys::napi_call_function(self.env, receiver, function, count, values.as_ptr(), &raw mut returned)
        };
        if status == sys::Status::napi_pending_exception {
            let mut exception = ptr::null_mut();
            // SAFETY: as above; an exception is pending.
            unsafe {
                check_status!(sys::napi_get_and_clear_last_exception(self.env, &raw mut exception))?;
                check_status!(sys::napi_fatal_exception(self.env, exception))?;
            }
            return Ok(());
        }
        check_status!(status)
    }

    fn value(&self, argument: Argument) -> Result<sys::napi_value> {
        let mut value = ptr::null_mut();
        let value_out = &raw mut value;
        // SAFETY: a handle scope is open; pointers and lengths are those of live vectors, which V8 copies, but for large
        // Buffers, which own the vector until their finalizer runs. The reference of a Buffer is alive.
        check_status!(unsafe {
            match argument {
                Argument::Int(number) => sys::napi_create_int32(self.env, number, value_out),
                Argument::Unsigned(number) => sys::napi_create_uint32(self.env, number, value_out),
                Argument::Text(text) => string(self.env, &text, value_out),
                Argument::Bytes(bytes) if bytes.len() <= COPY_LIMIT => sys::napi_create_buffer_copy(
                    self.env,
                    bytes.len(),
                    bytes.as_ptr().cast(),
                    ptr::null_mut(),
                    value_out,
                ),
                Argument::Bytes(bytes) => external_buffer(self.env, bytes, value_out),
                Argument::Buffer(buffer) => sys::napi_get_reference_value(self.env, buffer.reference, value_out),
            }
        })?;
        Ok(value)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: both were made by `new` in this environment; callbacks are dropped on its thread.
        unsafe {
            sys::napi_delete_reference(self.env, self.function);
            sys::napi_async_destroy(self.env, self.context);
        }
    }
}

/// V8 takes no more bytes of UTF-8 than its longest string has characters, which is less than 2^29 on all its versions for
/// 64 bits. Longer ones are decoded here.
const LONGEST_UTF8: usize = (1 << 29) - 24;

/// A string from UTF-8. Text of one byte a character needs no decoding.
///
/// # Safety
/// `env` is alive, a handle scope is open, `out` is writable.
unsafe fn string(env: sys::napi_env, text: &[u8], out: *mut sys::napi_value) -> sys::napi_status {
    let (start, length) = (text.as_ptr().cast(), text.len() as isize);
    // SAFETY: per the contract above; V8 copies the text.
    unsafe {
        if text.is_ascii() {
            sys::napi_create_string_latin1(env, start, length, out)
        } else if text.len() > LONGEST_UTF8 {
            let units: Vec<u16> = String::from_utf8_lossy(text).encode_utf16().collect();
            sys::napi_create_string_utf16(env, units.as_ptr(), units.len() as isize, out)
        } else {
            sys::napi_create_string_utf8(env, start, length, out)
        }
    }
}

/// A Buffer over `bytes` without a copy.
///
/// # Safety
/// As [`string`].
unsafe fn external_buffer(env: sys::napi_env, bytes: Vec<u8>, out: *mut sys::napi_value) -> sys::napi_status {
    unsafe extern "C" fn release(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
        // SAFETY: `hint` is the box made below; V8 calls the finalizer once.
        drop(unsafe { Box::from_raw(hint.cast::<Vec<u8>>()) });
    }
    let mut bytes = Box::new(bytes);
    let (start, length) = (bytes.as_mut_ptr(), bytes.len());
    let hint = Box::into_raw(bytes);
    // SAFETY: the memory stays where it is until `release`.
    let status =
        unsafe { sys::napi_create_external_buffer(env, length, start.cast(), Some(release), hint.cast(), out) };
    if status != sys::Status::napi_ok {
        // SAFETY: V8 took nothing, so the box is still ours.
        let bytes = unsafe { Box::from_raw(hint) };
        // A host that forbids external memory gets a copy.
        // SAFETY: as above.
        return unsafe { sys::napi_create_buffer_copy(env, bytes.len(), bytes.as_ptr().cast(), ptr::null_mut(), out) };
    }
    status
}

/// A `Float64Array` over words that `owner` has, which lives as long as JavaScript holds the array. Both sides may change
/// them; each change is of one whole word.
pub fn shared_doubles<'env, T: 'static>(
    env: &'env Env,
    owner: Rc<T>,
    words: impl FnOnce(&T) -> &[AtomicU64],
) -> Result<Unknown<'env>> {
    unsafe extern "C" fn release<T>(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
        // SAFETY: `hint` is the box made below; V8 calls the finalizer once.
        drop(unsafe { Box::from_raw(hint.cast::<Rc<T>>()) });
    }
    let (start, length) = {
        let words = words(&owner);
        (words.as_ptr().cast_mut().cast::<c_void>(), words.len())
    };
    let bytes = length * size_of::<AtomicU64>();
    let hint = Box::into_raw(Box::new(owner));
    let (mut buffer, mut array) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the words stay where they are until `release`, as they belong to what `hint` keeps alive; atomics may be written
    // to through a shared reference.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(env.raw(), start, bytes, Some(release::<T>), hint.cast(), &raw mut buffer)
    };
    if status != sys::Status::napi_ok {
        // SAFETY: V8 took nothing, so the box is still ours.
        drop(unsafe { Box::from_raw(hint) });
    }
    check_status!(status)?;
    // SAFETY: the buffer has just been made, and has so many doubles.
    unsafe {
        check_status!(sys::napi_create_typedarray(
            env.raw(),
            sys::TypedarrayType::float64_array,
            length,
            buffer,
            0,
            &raw mut array
        ))?;
        Ok(Unknown::from_raw_unchecked(env.raw(), array))
    }
}

/// Appends the UTF-8 of a JavaScript string. `length` is its length in UTF-16 units, which for plain ASCII is also
/// the number of bytes: then one pass does it.
pub fn append_utf8(env: &Env, text: &napi::JsString, length: usize, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let mut room = length.saturating_add(4);
    loop {
        out.try_reserve(room + 1).map_err(|error| napi::Error::from_reason(error.to_string()))?;
        let spare = out.spare_capacity_mut();
        // N-API counts in an `int`.
        let capacity = spare.len().min(i32::MAX as usize);
        let mut written = 0;
        // SAFETY: the buffer has `capacity` writable bytes, of which N-API fills at most that many with a NUL last.
        check_status!(unsafe {
            sys::napi_get_value_string_utf8(
                env.raw(),
                text.raw(),
                spare.as_mut_ptr().cast(),
                capacity,
                &raw mut written,
            )
        })?;
        // N-API stops at a whole character: fewer than 4 bytes left may mean that it was cut.
        if written + 4 < capacity || length == 0 {
            // SAFETY: `written` bytes of the spare capacity have just been initialised.
            unsafe { out.set_len(start + written) };
            return Ok(());
        }
        room = length.saturating_mul(3).saturating_add(8);
    }
}

/// A Buffer of JavaScript's that is kept alive until its bytes are written, or all of them have come.
#[derive(Debug)]
pub struct HeldBuffer {
    env: sys::napi_env,
    reference: sys::napi_ref,
    start: NonNull<u8>,
    length: usize,
}

impl HeldBuffer {
    /// Holds `buffer`. Our JavaScript side never changes, detaches or shows it to anyone after this.
    pub fn new(env: &Env, buffer: &napi::bindgen_prelude::Unknown) -> Result<HeldBuffer> {
        let (mut start, mut length, mut reference) = (ptr::null_mut(), 0, ptr::null_mut());
        // SAFETY: N-API checks that the value is a Buffer; results go to locals.
        unsafe {
            check_status!(sys::napi_get_buffer_info(env.raw(), buffer.raw(), &raw mut start, &raw mut length))?;
            check_status!(sys::napi_create_reference(env.raw(), buffer.raw(), 1, &raw mut reference))?;
        }
        let start = NonNull::new(start.cast::<u8>()).unwrap_or(NonNull::dangling());
        Ok(HeldBuffer { env: env.raw(), reference, start, length })
    }

    /// A new one that nobody has yet, for bytes that are to come. The engine counts its memory as its own, and so gets rid of it
    /// in a short collection of garbage; what comes in memory of ours takes a full one. Only to be used on the event loop's
    /// thread, outside of JavaScript.
    pub fn to_fill(callback: &Callback, length: usize) -> Option<HeldBuffer> {
        let mut made = None;
        callback.in_scope(|env| {
            let (mut start, mut value, mut reference) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            // SAFETY: the environment is alive and entered; results go to locals.
            let status = unsafe {
                match sys::napi_create_buffer(env, length, &raw mut start, &raw mut value) {
                    sys::Status::napi_ok => sys::napi_create_reference(env, value, 1, &raw mut reference),
                    failed => failed,
                }
            };
            if status == sys::Status::napi_ok
                && let Some(start) = NonNull::new(start.cast::<u8>())
            {
                made = Some(HeldBuffer { env, reference, start, length });
            }
        });
        made
    }

    /// Its bytes from `start` on, to be filled.
    pub fn to_fill_from(&mut self, start: usize) -> &mut [MaybeUninit<u8>] {
        let start = start.min(self.length);
        // SAFETY: the reference keeps the memory alive, `start` is within it, and while we may write to it nobody else has it.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().add(start).cast(), self.length - start) }
    }

    /// Frees its memory, rather than when garbage is collected: the next one of that size is made of the same memory, which the
    /// processor still has in its cache. Nobody may have it any more. One that is a part of more memory is left alone. Only to be
    /// used within a call from or into JavaScript.
    pub fn free(self) {
        let (mut value, mut memory, mut start) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        let (mut offset, mut whole) = (0, 0);
        // SAFETY: the reference is alive, N-API checks what it refers to, and results go to locals. `self` is not used after this, so
        // that nobody looks at the memory.
        unsafe {
            let found = sys::napi_get_reference_value(self.env, self.reference, &raw mut value) == sys::Status::napi_ok
                && sys::napi_get_typedarray_info(
                    self.env,
                    value,
                    ptr::null_mut(),
                    ptr::null_mut(),
                    ptr::null_mut(),
                    &raw mut memory,
                    &raw mut offset,
                ) == sys::Status::napi_ok
                && sys::napi_get_arraybuffer_info(self.env, memory, &raw mut start, &raw mut whole)
                    == sys::Status::napi_ok;
            if found && offset == 0 && whole == self.length {
                // What cannot be detached goes as all else does.
                let _ = sys::napi_detach_arraybuffer(self.env, memory);
            }
        }
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the reference keeps the memory alive and nobody writes to it (see `new`).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for HeldBuffer {
    fn drop(&mut self) {
        // SAFETY: made in this environment; outboxes are dropped on its thread.
        unsafe { sys::napi_delete_reference(self.env, self.reference) };
    }
}

/// An error of the system as Node's own functions return it: a negative number.
pub fn negative_errno(error: &io::Error) -> i32 {
    -error.raw_os_error().unwrap_or(super::libc::EIO)
}
