import { PipelineFrame } from "@/run/page/PipelineFrame";
import type { PageProps } from "@/lib/location";
import { DataBrowser } from "@/data/DataBrowser";

export function DataPage({ params }: PageProps) {
  const id = params.id ?? "";
  return (
    <PipelineFrame id={id} page="data" title="Data">
      {() => <DataBrowser id={id} />}
    </PipelineFrame>
  );
}
