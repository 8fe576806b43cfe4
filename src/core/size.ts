/** Amounts of bytes as people write them: `300MB`, `64KiB`, `1.5GiB`; a bare number is bytes. */

const UNIT_BYTES: Readonly<Record<string, number>> = {
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  tb: 1000 ** 4,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
};

/** Bytes of `text`, or `null` when it is not a size. `K M G` alone are powers of 1024, as PM2 and the JVM read them. */
export function parseSize(text: string | number): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(String(text).trim());
  if (!match) return null;
  const factor = match[2] === '' ? 1 : UNIT_BYTES[(match[2] ?? '').toLowerCase()];
  const bytes = Math.round(Number(match[1]) * (factor ?? Number.NaN));
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/** `bytes` as people read it: `512B`, `64KiB`, `1.5GiB`. */
export function formatSize(bytes: number): string {
  let amount = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (amount < 1024 || unit === 'GiB')
      return `${amount < 10 ? Math.round(amount * 10) / 10 : Math.round(amount)}${unit}`;
    amount /= 1024;
  }
  return `${bytes}B`;
}
