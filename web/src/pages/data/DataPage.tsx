import type { PageProps } from "@/app/routes";
import { DataBrowser } from "@/pages/data/DataBrowser";
import { PipelineFrame } from "@/pages/parts/PipelineFrame";

/** A pipeline's data. */
export function DataPage({ params }: PageProps) {
  const id = params.id ?? "";
  return (
    <PipelineFrame id={id} page="data" title="Data">
      {() => <DataBrowser id={id} />}
    </PipelineFrame>
  );
}
