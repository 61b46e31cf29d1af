"""Self-describing records of meters: bytes in, a list of `Record` out.

`mbus` reads DIF/VIF records (EN 13757-3), `dlms` reads A-XDR data with OBIS codes (IEC 62056-5-3, -6-1, -6-2). Both are
pure: linear in the bytes, bounded in count and depth, and they raise nothing but DecodeError.
"""
