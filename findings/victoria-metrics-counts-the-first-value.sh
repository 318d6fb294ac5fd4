#!/usr/bin/env bash
# VictoriaMetrics 1.79.5 beside Prometheus 2.42.0 (Debian 12). Both scrape the same counter, which stands at 5 from its first
# scrape on and never moves.
#
# Expected: increase() of a counter that did not move is 0 in both. VictoriaMetrics says that it answers PromQL.
# Seen: Prometheus answers 0. VictoriaMetrics answers 5: it takes the first value of a series as an increase from nothing, as
# long as the window holds the first scrape. rate() of the same window is 0 in both.
# So an alert such as `increase(errors_total[15m]) > 0` fires for 15 minutes whenever a series begins: after a new label, a new
# target, or a new data folder. The same alert with rate() does not.
set -Eeuo pipefail

scratch=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait || true; rm -rf "$scratch"' EXIT
cd "$scratch"
apt-get download -qq -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1 victoria-metrics=1.79.5+ds1-2+b5
for package in *.deb; do dpkg-deb --extract "$package" .; done

cat >all.py <<'PYTHON'
import http.server
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request


class Target(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"# TYPE errors_total counter\nerrors_total 5\n")

    def log_message(self, *_):
        pass


def free():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


target = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
threading.Thread(target=target.serve_forever, daemon=True).start()
with open("scrape.yml", "w") as file:
    file.write("global: {scrape_interval: 1s, scrape_timeout: 1s}\n")
    file.write("scrape_configs: [{job_name: j, static_configs: [{targets: ['127.0.0.1:%d']}]}]\n" % target.server_port)
ports = {"Prometheus": free(), "VictoriaMetrics": free()}
servers = [
    subprocess.Popen(["usr/bin/prometheus", "--config.file=scrape.yml", "--storage.tsdb.path=p", "--log.level=error",
                      f"--web.listen-address=127.0.0.1:{ports['Prometheus']}"]),
    # Without this flag, the newest 30 s would be missing.
    subprocess.Popen(["usr/bin/victoria-metrics", "-promscrape.config=scrape.yml", "-storageDataPath=v", "-loggerLevel=ERROR",
                      "-search.latencyOffset=0s", f"-httpListenAddr=127.0.0.1:{ports['VictoriaMetrics']}"]),
]


def ask(product, query):
    url = f"http://127.0.0.1:{ports[product]}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        result = json.load(urllib.request.urlopen(url))["data"]["result"]
    except OSError:
        return None
    return result[0]["value"][1] if result else None


try:
    for product in ports:
        while int(ask(product, "count_over_time(errors_total[1m])") or 0) < 5:
            time.sleep(0.5)
    seen = {(product, query): ask(product, query)
            for product in ports for query in ("increase(errors_total[1m])", "rate(errors_total[1m])")}
finally:
    for server in servers:
        server.kill()
for case, value in seen.items():
    print(*case, value)
assert list(seen.values()) == ["0", "0", "5", "0"], "the behaviour has changed"
PYTHON
timeout 120 python3 all.py
echo "VictoriaMetrics 1.79.5 behaves as described"
