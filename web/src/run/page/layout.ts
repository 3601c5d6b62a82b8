/** Media queries that the CSS of the pipeline's pages also uses. */

/** The tree and the node are shown one at a time. */
export const ONE_PANE = "(max-width: 1100px)";
