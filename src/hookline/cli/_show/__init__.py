"""What the commands print: tables for people, documents for programs."""
