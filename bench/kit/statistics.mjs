// Medians and spreads of samples.

export function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Between two neighbours by their distance, as most programs have it. */
export function quantile(numbers, share) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  return below + (above - below) * (at - Math.floor(at));
}

export function median(numbers) {
  return quantile(numbers, 0.5);
}

/** `iqr` is the width of the middle half. */
export function summary(samples) {
  const [q1, q3] = [quantile(samples, 0.25), quantile(samples, 0.75)];
  return {
    samples,
    median: median(samples),
    min: Math.min(...samples),
    max: Math.max(...samples),
    q1,
    q3,
    iqr: q3 - q1,
  };
}

/** Sample by sample where both were taken in turn, so that what else the machine did falls out; else over the median. */
export function ratios(samples, reference) {
  const middle = median(reference);
  return samples.map((sample, at) => sample / (samples.length === reference.length ? reference[at] : middle));
}
