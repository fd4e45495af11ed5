"""What runs inside a framework's own interpreter: boot, message loop, wire format."""
