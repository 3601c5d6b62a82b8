import { PipelineFrame } from "@/pages/pipeline/frame/PipelineFrame";
import type { PageProps } from "@/lib/location";
import { DataBrowser } from "@/pages/data/DataBrowser";
import { DATA } from "@/strings/data";

export function DataPage({ params }: PageProps) {
  const id = params.id ?? "";
  return (
    <PipelineFrame id={id} page="data" title={DATA.data}>
      {() => <DataBrowser id={id} />}
    </PipelineFrame>
  );
}
