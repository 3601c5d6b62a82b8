"""Pipeline scripts that the deployed installation runs."""

FAILING = """
import conducto as co

def failing() -> co.Serial:
    with co.Serial(image="python:3.11-slim", cpu=0.25, mem=0.5) as root:
        co.Exec("echo before", name="before")
        co.Exec("test -e /conducto/data/pipeline/fix || { echo no >&2; exit 3; }", name="test")
        co.Exec("echo after", name="after")
    return root

if __name__ == "__main__":
    co.main(default=failing)
"""

#: Secrets, data of the pipeline and of the user, a new container, and a Lazy, in an image with code
#: that CodeBuild makes.
KINDS = """
import conducto as co

def made() -> co.Serial:
    root = co.Serial()
    root["leaf"] = co.Exec("echo leaf of a lazy")
    return root

def kinds() -> co.Serial:
    image = co.Image("python:3.11-slim", copy_dir=".", install_pip=["conducto"])
    with co.Serial(image=image, cpu=0.25, mem=0.5) as root:
        with co.Parallel(name="all"):
            co.Exec('echo "token $TOKEN"; test "$TOKEN" = s3cret-value', name="secret")
            co.Exec("echo kept > /conducto/data/pipeline/kept", name="pipeline")
            co.Exec("echo mine > /conducto/data/user/mine", name="user")
            co.Exec("cat words.txt", name="copied")
        with co.Serial(name="own", container_reuse_context=co.ContainerReuseContext.NEW):
            co.Exec("echo state > /root/state", name="write")
            co.Exec("cat /root/state", name="read")
        co.Exec("cat /conducto/data/pipeline/kept /conducto/data/user/mine", name="read")
        root["lazy"] = co.Lazy(made)
    return root

if __name__ == "__main__":
    co.main(default=kinds)
"""

#: An image of a Dockerfile, which this machine builds and pushes.
BUILT = """
import conducto as co

def built() -> co.Serial:
    with co.Serial(image=co.Image(dockerfile="Dockerfile", context=".")) as root:
        co.Exec("cat /made", name="read", cpu=0.25, mem=0.5)
    return root

if __name__ == "__main__":
    co.main(default=built)
"""
DOCKERFILE = "FROM python:3.11-slim\nRUN echo made here > /made\n"

#: Runs until it is allowed to end: longer than a deployment.
WAITING = """
import conducto as co

def waiting() -> co.Serial:
    with co.Serial(image="python:3.11-slim", cpu=0.25, mem=0.5) as root:
        co.Exec("until test -e /conducto/data/pipeline/go; do sleep 0.2; done", name="wait")
        co.Exec("echo after", name="after")
    return root

if __name__ == "__main__":
    co.main(default=waiting)
"""
