/** Layout of a grid with one cell per command. Sizes are in px. */

export interface Grid {
  count: number;
  columns: number;
  rows: number;
  /** Size of a cell including its gap. */
  size: number;
  height: number;
}

const MAX_SIZE = 16;
const MIN_SIZE = 3;

/** The grid for a number of cells in a width; cells shrink until it fits into the height. */
export function gridFor(count: number, width: number, maxHeight: number): Grid {
  let size = MAX_SIZE;
  while (size > MIN_SIZE && rowCount(count, width, size) * size > maxHeight) size -= 1;
  const columns = columnCount(width, size);
  const rows = rowCount(count, width, size);
  return { count, columns, rows, size, height: rows * size };
}

/** The cell at a position; null if there is none. */
export function cellAt({ count, columns, size }: Grid, x: number, y: number): number | null {
  const column = Math.floor(x / size);
  if (x < 0 || y < 0 || column >= columns) return null;
  const found = Math.floor(y / size) * columns + column;
  return found < count ? found : null;
}

function columnCount(width: number, size: number): number {
  return Math.max(1, Math.floor(width / size));
}

function rowCount(count: number, width: number, size: number): number {
  return Math.ceil(count / columnCount(width, size));
}
