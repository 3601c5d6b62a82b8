/// <reference types="vite/client" />

/** The address of the documentation site; "" without one. */
declare const __DOCS__: string;
