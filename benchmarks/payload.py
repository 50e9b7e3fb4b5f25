"""What every contestant sends: the guide's payload, 467 bytes with Chinese text, signed."""

import hashlib
import hmac
import json
from typing import Any

EVENT = "customer.approved"
SECRET = "your-secret-key"
DATA: dict[str, Any] = {
    "customer_id": 123,
    "customer_no": "C20251017001",
    "name": "张三",
    "phone": "13800138000",
    "product_id": 1,
    "product_name": "个人住房贷款",
    "status": "completed",
    "documents": [
        {"type": "id_card", "status": "approved", "review_note": "证件清晰，信息一致"},
        {"type": "income_proof", "status": "approved", "review_note": "收入证明已核实"},
    ],
}
METADATA: dict[str, Any] = {"user_id": 1, "ip_address": "192.168.1.100"}

BODY = json.dumps(
    {
        "event": EVENT,
        "data": DATA,
        "timestamp": "2025-10-17T10:30:00.000Z",
        "metadata": METADATA,
    },
    ensure_ascii=False,
    separators=(",", ":"),
).encode()


def headers(message_id: str = "msg_0000000000000000000000000000") -> dict[str, str]:
    """Return the headers of a request as Hookline sends it, freshly signed."""
    signature = hmac.digest(SECRET.encode(), BODY, hashlib.sha256).hex()
    return {
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "benchmarks/1",
        "webhook-id": message_id,
        "webhook-timestamp": "1760697000",
        "X-Webhook-Event": EVENT,
        "X-Webhook-Attempt": "1",
        "X-Webhook-Signature": f"sha256={signature}",
        "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    }
