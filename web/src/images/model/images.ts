import type { ImageRecord, PipelineRecord } from "@/api/schema";

/** The images that commands of a pipeline run in. Those of plain processes are only names. */
export function usedImages(
  { engine }: Pick<PipelineRecord, "engine">,
  images: readonly ImageRecord[],
): readonly ImageRecord[] {
  return engine === "process" ? [] : images;
}
