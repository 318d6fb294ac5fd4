#!/usr/bin/env bash
# VictoriaMetrics 1.79.5 beside Prometheus 2.42.0 (Debian 12), both with their defaults, both scraping the same target each second.
#
# Expected: an instant query without a time answers with the newest sample, as Prometheus does. A KEDA scaler, an alert and a
# single-value panel ask so.
# Seen: five scrapes after its start, VictoriaMetrics answers `up` with nothing, and a query that names a time 31 s ahead finds the
# sample. It takes the time of a query to be 30 s ago (-search.latencyOffset), so its answers are 30 s old at any scrape interval.
# The status is "success", and nothing in the answer says so.
set -Eeuo pipefail

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
apt-get download -qq -o APT::Sandbox::User=root prometheus=2.42.0+ds-5+deb12u1 victoria-metrics=1.79.5+ds1-2+b5
for package in *.deb; do dpkg-deb --extract "$package" .; done

cat >all.py <<'PYTHON'
import http.server
import json
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

scrapes = 0


class Target(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global scrapes
        scrapes += 1
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"# TYPE queue_jobs gauge\nqueue_jobs 7\n")

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


def sample(command, port, **parameters):
    """The value of the sample that a query finds; None: none."""
    query = urllib.parse.urlencode({"query": "queue_jobs", **parameters})
    answer = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}"))
    assert answer["status"] == "success", answer
    result = answer["data"]["result"]
    return result[0]["value"][1] if result else None


def after_five_scrapes(command, port):
    global scrapes
    scrapes = 0
    server = subprocess.Popen(command)
    try:
        while scrapes < 5:
            time.sleep(0.2)
        time.sleep(2)  # for the samples to be stored
        return sample(command, port), sample(command, port, time=time.time() + 31)
    finally:
        server.kill()
        server.wait()


port = free()
prometheus = after_five_scrapes(["usr/bin/prometheus", "--config.file=scrape.yml", "--storage.tsdb.path=p", "--log.level=error",
                                 f"--web.listen-address=127.0.0.1:{port}"], port)
port = free()
victoria = after_five_scrapes(["usr/bin/victoria-metrics", "-promscrape.config=scrape.yml", "-storageDataPath=v",
                               "-loggerLevel=ERROR", f"-httpListenAddr=127.0.0.1:{port}"], port)
print("Prometheus: now, and at a time 31 s ahead:", prometheus)
print("VictoriaMetrics: now, and at a time 31 s ahead:", victoria)
assert (prometheus, victoria) == (("7", "7"), (None, "7")), "the behaviour has changed"
PYTHON
timeout 120 python3 all.py
echo "VictoriaMetrics 1.79.5 behaves as described"
