# SPDX-License-Identifier: GPL-3.0-or-later
"""A small configuration of nginx with what is hard to read: quotes, braces in words, directives over several lines."""

from __future__ import annotations

HTTP = r"""
# server 10.9.9.9:1; in a comment
log_format short '$status; {';
map $request_uri $chosen {
  default "one";
  "~^/a{2};" "two";
  listen "~^/not\"one";
  server 10.9.9.9:2;
}
upstream one {
  zone one 128k;
  server 10.0.0.1:8008 max_fails=3 fail_timeout=5s; # first
  server unix:/run/b.sock backup;
  keepalive 32;
}
upstream two { server 10.0.0.1:8008; server [fd00::1]:8008 down; }
"""
SITE = """
server {
  listen 80 default_server;
  listen [::]:80 default_server;
  access_log /var/log/nginx/a.log short buffer=4k;
  location / { return 301 $scheme://$host; }
}
server {
  listen 443 ssl http2;
  listen [::]:443 ssl http2;
  listen 192.0.2.1:8448 ssl;
  http2 on;
  ssl_certificate /etc/ssl/x.pem;
  ssl_ciphers
    A:B;
  access_log off;
  error_log /var/log/nginx/e.log crit;
  proxy_set_header X-Forwarded-Proto $scheme;
  location ~ "^/(x|y{2})$" { proxy_pass http://$chosen; add_header A "${scheme} $schemes"; }
}
"""
