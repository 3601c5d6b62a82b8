import { useEffect, useState } from "react";

/** True until `loading` has been false once. Later requests keep the old content in view. */
export function useFirst(loading: boolean): boolean {
  const [first, setFirst] = useState(true);
  useEffect(() => {
    if (!loading) setFirst(false);
  }, [loading]);
  return first && loading;
}
