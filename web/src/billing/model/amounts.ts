/** Numbers of the bill as people read them. */

export function dollars(amount: number): string {
  return `$${amount.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

export function price(amount: number): string {
  return amount.toLocaleString("en", { maximumSignificantDigits: 4 });
}

export function count(amount: number): string {
  return amount.toLocaleString("en", { maximumFractionDigits: 1 });
}
