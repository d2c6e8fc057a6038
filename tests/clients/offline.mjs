// Loaded before every tool: whoever reaches for anything but this machine is stopped, and named.
import dns from 'node:dns';
import net from 'node:net';

const home = (host) => host === undefined || ['localhost', '127.0.0.1', '::1'].includes(host);
const stop = (host) => {
  process.stderr.write(`the network was asked for: ${host}\n`);
  process.exit(86);
};

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const first = Array.isArray(args[0]) ? args[0][0] : args[0];
  const host = typeof first === 'object' ? first?.host : typeof args[1] === 'string' ? args[1] : undefined;
  if (!home(host)) stop(host);
  return connect.apply(this, args);
};
for (const api of [dns, dns.promises]) {
  for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6']) {
    const ask = api[name];
    api[name] = function (host, ...args) {
      if (!home(host)) stop(host);
      return ask.call(this, host, ...args);
    };
  }
}
