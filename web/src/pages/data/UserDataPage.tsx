import { useTitle } from "@/components/useTitle";
import { DataBrowser } from "@/pages/data/DataBrowser";
import { DATA } from "@/strings/data";

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
