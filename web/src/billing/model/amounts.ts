/** Numbers of the bill as people read them. */

/** `$12.30`; less than a cent is `<$0.01`. */
export function dollars(amount: number): string {
  if (amount > 0 && amount < 0.005) return "<$0.01";
  return `$${amount.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

export function price(amount: number): string {
  return amount.toLocaleString("en", { maximumSignificantDigits: 4 });
}

export function count(amount: number): string {
  return amount.toLocaleString("en", { maximumFractionDigits: 1 });
}
