/** Amounts of money for people; the command line has the same rule. */

/** `$12.30`, and four digits below a dollar: `$0.0012`. */
export function dollars(amount: number): string {
  const digits = amount >= 1 || amount === 0 ? 2 : 4;
  const text = amount.toLocaleString("en", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `$${text}`;
}
