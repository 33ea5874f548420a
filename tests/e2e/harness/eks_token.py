"""Prints an EKS token as botocore signs it.

Arguments: access key id, secret access key, session token or "", region, cluster.
"""

import base64
import sys

from botocore.credentials import Credentials
from botocore.model import ServiceId
from botocore.session import get_session
from botocore.signers import RequestSigner

key, secret, session, region, cluster = sys.argv[1:]
signer = RequestSigner(
    ServiceId("sts"),
    region,
    "sts",
    "v4",
    Credentials(key, secret, session or None),
    get_session().get_component("event_emitter"),
)
request = {
    "method": "GET",
    "url": f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
    "body": {},
    "headers": {"x-k8s-aws-id": cluster},
    "context": {},
}
url = signer.generate_presigned_url(request, region_name=region, expires_in=60, operation_name="")
print("k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("="))
