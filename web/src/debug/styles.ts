/** Constructed style sheets, which the content security policy allows. */

/** A style sheet of the document, until it is removed. */
export class AdoptedSheet {
  private readonly sheet = new CSSStyleSheet();

  constructor(css = "") {
    this.replace(css);
    document.adoptedStyleSheets.push(this.sheet);
  }

  replace(css: string): void {
    this.sheet.replaceSync(css);
  }

  remove(): void {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== this.sheet);
  }
}

/** Replaces a style element: its text becomes a constructed style sheet. */
export function styleElement(): HTMLElement {
  const element = document.createElement("data");
  element.hidden = true;
  const sheet = new AdoptedSheet();
  let text = "";
  Object.defineProperty(element, "textContent", {
    get: () => text,
    set: (css: string) => {
      text = css;
      sheet.replace(css);
    },
  });
  element.remove = () => {
    sheet.remove();
    HTMLElement.prototype.remove.call(element);
  };
  return element;
}
