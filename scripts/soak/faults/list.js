'use strict';

// Which calls fail, how, and which time they are made since the service runs.

/**
 * @typedef {object} Fault
 * @property {'acceptor' | 'primary' | 'worker' | 'newborn'} where the acceptor's thread alone, or all of a process; `newborn` is a
 *   worker from its first system call on
 * @property {string} call
 * @property {string} error as strace knows it
 * @property {string} when as strace counts: `3`, or `3+` for all from the third on, or `1..5`
 */

/** What may go wrong with each call, by its manual and by what sits between it and the kernel (seccomp, cgroups, a full table). */
const ERRORS = {
  accept4: 'EAGAIN ECONNABORTED EINTR EPROTO EPERM EMFILE ENFILE ENOBUFS ENOMEM EINVAL ETIMEDOUT EOPNOTSUPP ENOSR ENETDOWN EHOSTUNREACH EIO',
  sendmsg: 'EAGAIN EINTR EPERM EMSGSIZE ENOMEM ENOBUFS ETOOMANYREFS EMFILE EINVAL EIO',
  recvmsg: 'EAGAIN EINTR EPERM EMSGSIZE ENOMEM ENOBUFS EINVAL EIO ECONNRESET',
  epoll_ctl: 'ENOMEM ENOSPC EINTR EPERM',
  epoll_wait: 'EINTR EINVAL ENOMEM',
  fcntl: 'EMFILE EINVAL EINTR ENOMEM',
  getpeername: 'ENOTCONN ENOBUFS ENOMEM',
  getsockname: 'ENOBUFS',
  getsockopt: 'ENOMEM EINTR',
  setsockopt: 'ENOMEM ENOBUFS EINVAL',
  socketpair: 'EMFILE ENFILE ENOMEM',
  memfd_create: 'EMFILE ENFILE ENOMEM EPERM ENOSYS',
  listen: 'EADDRINUSE ENOBUFS',
  bind: 'EADDRINUSE EACCES ENOMEM',
  socket: 'EMFILE ENOBUFS',
  poll: 'EINTR ENOMEM',
  read: 'EINTR EAGAIN EIO',
  write: 'EINTR EAGAIN EIO',
};

const ACCEPTOR = ['accept4', 'sendmsg', 'recvmsg', 'epoll_ctl', 'epoll_wait', 'fcntl', 'getpeername', 'getsockname', 'getsockopt', 'poll', 'read', 'write'];
// Not `read` and `write`: Node itself does most of those; and libuv aborts when `epoll_ctl` fails.
const PRIMARY = ['sendmsg', 'recvmsg', 'fcntl', 'getsockname', 'getsockopt', 'setsockopt', 'socketpair', 'memfd_create', 'listen', 'bind', 'socket'];
const WORKER = ['sendmsg', 'recvmsg', 'fcntl', 'getsockname', 'getsockopt', 'poll'];
// Not what Node calls before any script runs, and gives up for.
const NEWBORN = ['sendmsg', 'recvmsg', 'fcntl', 'getsockname', 'getsockopt', 'getpeername', 'setsockopt', 'socketpair', 'socket', 'bind', 'listen', 'poll'];

/** @returns {Fault[]} */
function all() {
  /** @param {Fault['where']} where @param {string[]} calls */
  const of = (where, calls, times = ['1', '2', '7']) =>
    calls.flatMap((call) =>
      ERRORS[/** @type {keyof typeof ERRORS} */ (call)].split(' ').flatMap((error) => times.map((when) => ({ where, call, error, when }))),
    );
  return [...of('acceptor', ACCEPTOR), ...of('primary', PRIMARY), ...of('worker', WORKER), ...of('newborn', NEWBORN, ['1', '2', '3', '5'])];
}

/** What was once not got over, and is tried with each `npm test`. @type {Fault[]} */
const quick = [
  { where: 'acceptor', call: 'accept4', error: 'ETIMEDOUT', when: '2' },
  { where: 'acceptor', call: 'accept4', error: 'EINVAL', when: '2' },
  { where: 'acceptor', call: 'accept4', error: 'EMFILE', when: '2' },
  { where: 'acceptor', call: 'sendmsg', error: 'EPERM', when: '2' },
  { where: 'acceptor', call: 'sendmsg', error: 'EAGAIN', when: '2' },
  { where: 'worker', call: 'recvmsg', error: 'EINTR', when: '2' },
  { where: 'worker', call: 'recvmsg', error: 'ENOMEM', when: '2' },
];

module.exports = { all, quick };
