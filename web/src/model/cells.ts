/** Many Execs as a field of cells: where each one is, and which one is at a place. Sizes in px. */

export interface Field {
  count: number;
  columns: number;
  rows: number;
  /** Of a cell and the gap behind it. */
  size: number;
  height: number;
}

const LARGEST = 16;
const SMALLEST = 3;
/** Cells are made smaller until the field is no higher than this. */
const HEIGHT = 168;

/** The field of so many cells in a place so wide. */
export function fieldOf(count: number, width: number): Field {
  let size = LARGEST;
  while (size > SMALLEST && rowsOf(count, width, size) * size > HEIGHT) size -= 1;
  const columns = columnsOf(width, size);
  const rows = rowsOf(count, width, size);
  return { count, columns, rows, size, height: rows * size };
}

/** The number of the cell at a place; null where there is none. */
export function cellAt({ count, columns, size }: Field, x: number, y: number): number | null {
  const column = Math.floor(x / size);
  if (x < 0 || y < 0 || column >= columns) return null;
  const found = Math.floor(y / size) * columns + column;
  return found < count ? found : null;
}

function columnsOf(width: number, size: number): number {
  return Math.max(1, Math.floor(width / size));
}

function rowsOf(count: number, width: number, size: number): number {
  return Math.ceil(count / columnsOf(width, size));
}
