import { useTitle } from "@/components/useTitle";
import { DataBrowser } from "@/data/DataBrowser";
import { DATA } from "@/data/texts/data";

/** The user's own data, shared by all their pipelines. */
export function UserDataPage() {
  useTitle("Data");
  return (
    <>
      <h1 className="sr-only">{DATA.yourData}</h1>
      <DataBrowser id={null} />
    </>
  );
}
