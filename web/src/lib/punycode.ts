/**
 * Replaces the package `punycode.js` in the bundle: the browser encodes names of hosts itself. They
 * are shown encoded, because letters that look like others can disguise a host.
 */
export default {
  toASCII: (host: string): string => new URL(`http://${host}`).host,
  toUnicode: (host: string): string => host,
};
