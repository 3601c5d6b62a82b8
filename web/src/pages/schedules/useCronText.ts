import { useQuery } from "@tanstack/react-query";

/** A cron expression as a sentence; the expression itself until the library is loaded. */
export function useCronText(cron: string): string {
  const sentence = useQuery({
    queryKey: ["cron-text", cron],
    queryFn: async () => {
      const { default: cronstrue } = await import("cronstrue");
      return cronstrue.toString(cron, { use24HourTimeFormat: true });
    },
    staleTime: Infinity,
    retry: false,
  });
  return sentence.data ?? cron;
}
