/** The number of unseen events in the title of the tab, as `(2) `. */

let title = "";
let unseen = 0;

function show(): void {
  document.title = unseen === 0 ? title : `(${unseen}) ${title}`;
}

export function setTitle(text: string): void {
  title = text;
  show();
}

/** Count an event until the user sees the tab. */
export function addToBadge(): void {
  if (!document.hidden) return;
  unseen += 1;
  show();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unseen = 0;
  show();
});
