# A host that serves a shop: its database over TCP, its data in Redis, its website on the base domain.
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get install -qq -y --no-install-recommends nginx postgresql redis-server openssl >/dev/null
runuser -u postgres -- psql -q -c "CREATE ROLE shop LOGIN PASSWORD 'shop'" -c "CREATE DATABASE shop OWNER shop"
PGPASSWORD=shop psql -q -h 127.0.0.1 -U shop shop -c "CREATE TABLE orders AS SELECT generate_series(1, 42) AS number"
sed -i 's/^appendonly no/appendonly yes/' /etc/redis/redis.conf
systemctl restart redis-server
redis-cli --no-raw SET shop:cart 42
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 30 -subj /CN=shop.test \
  -keyout /etc/ssl/private/web.key -out /etc/ssl/certs/web.pem 2>/dev/null
mkdir -p /srv/web
echo 'the website' >/srv/web/index.html
rm -f /etc/nginx/sites-enabled/default
cat >/etc/nginx/sites-enabled/web <<'N'
server {
  listen 80 default_server;
  listen 443 ssl default_server;
  server_name _;
  ssl_certificate /etc/ssl/certs/web.pem;
  ssl_certificate_key /etc/ssl/private/web.key;
  return 404;
}
server {
  listen 80;
  listen 443 ssl;
  server_name shop.test www.shop.test;
  ssl_certificate /etc/ssl/certs/web.pem;
  ssl_certificate_key /etc/ssl/private/web.key;
  root /srv/web;
}
N
nginx -t -q
systemctl reload nginx
