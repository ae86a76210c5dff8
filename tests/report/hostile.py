"""Texts and names that try to be more than text."""

HOSTILE = [
    "<script>alert('owned')</script><img src=x onerror=alert(1)> &amp; <b>not bold</b>",
    "</td></table></script></style></title>--><svg onload=alert(2)>",
    "{{ 7 * 7 }} {% raw %} ${alert(3)} `'\"",
    # Arabic, then Hebrew
    "\u0647\u0630\u0627 \u0627\u0644\u0645\u0646\u062a\u062c \u05d5\u05d2\u05dd \u05e2\u05d1\u05e8\u05d9\u05ea 123",
    "left \u202eright to left\u202c, \u2067isolated",
    "\U0001f44d\U0001f3fd\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f3f3\ufe0f\u200d\U0001f308 emoji \U0001f9e8",
    "nul \x00 bell \x07 escape \x1b[31m delete \x7f",
    "A long text, <b>. " * 3000,
    "w" * 50_000,
    "\U0001f9e8'\"<&" * 10_000,
    "",
    "first line\n\n    second, indented\n\tthird\r\nfourth",
]
NAMES = ("</script><script>alert(4)</script>", "\u0632\u0627\u0626\u062f <img src=x onerror=alert(5)>", "n" * 2000)
