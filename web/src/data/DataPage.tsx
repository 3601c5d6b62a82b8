import { PipelineFrame } from "@/run/page/PipelineFrame";
import type { PageProps } from "@/lib/location";
import { DataBrowser } from "@/data/DataBrowser";
import { DATA } from "@/data/texts/data";

export function DataPage({ params }: PageProps) {
  const id = params.id ?? "";
  return (
    <PipelineFrame id={id} page="data" title={DATA.data}>
      {() => <DataBrowser id={id} />}
    </PipelineFrame>
  );
}
