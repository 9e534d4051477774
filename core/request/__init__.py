"""The request: its documented form, its rules, and how it is read."""

from core.request.model import OptimizationRequest
from core.request.parsing import parse_request, parse_request_text, request_hash

__all__ = ["OptimizationRequest", "parse_request", "parse_request_text", "request_hash"]
