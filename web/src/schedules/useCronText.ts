import { useQuery } from "@tanstack/react-query";
// As a file of its own: the library is a CommonJS module, and the helper for such modules would be
// one more file of the first load.
import library from "cronstrue/dist/cronstrue.min.js?url";

interface Library {
  toString: (cron: string, options: { use24HourTimeFormat: boolean }) => string;
}

let loading: Promise<Library> | undefined;

/** Load the library, which defines a global variable. */
function load(): Promise<Library> {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = library;
    script.onload = () => resolve((window as unknown as { cronstrue: Library }).cronstrue);
    script.onerror = () => {
      loading = undefined;
      reject(new Error(`${library} could not be loaded`));
    };
    document.head.append(script);
  });
  return loading;
}

/** A cron expression as a sentence; the expression itself until the library is loaded. */
export function useCronText(cron: string): string {
  const sentence = useQuery({
    queryKey: ["cron-text", cron],
    queryFn: async () => (await load()).toString(cron, { use24HourTimeFormat: true }),
    staleTime: Infinity,
  });
  return sentence.data ?? cron;
}
