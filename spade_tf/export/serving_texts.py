"""What the files say that configure TF Serving: texts with places for names and numbers."""

PINNING = """\
# {image} names the image. {pinned} To pin what you have tested:
#   docker pull {image} && docker inspect --format '{{{{index .RepoDigests 0}}}}' {image}
# and export again with --serving_image=tensorflow/serving@sha256:... (or replace it below)."""

MODELS = """\
# ModelServerConfig of TF Serving (--model_config_file).
model_config_list {{
  config {{
    name: {name}
    base_path: "/models"
    model_platform: "tensorflow"
    # The newest version is served; export writes each whole, so that none is loaded half-written.
    model_version_policy {{ latest {{ num_versions: 1 }} }}
  }}
}}
"""

BATCHING = """\
# BatchingParameters of TF Serving (--batching_parameters_file), with --enable_batching=true.
#
# This queues pictures and makes them one at a time: it never puts two into one batch. TF Serving
# gives all of a batch one status, so that one bad label map would fail everybody's, and it refuses
# a batch whose inputs differ in shape. Its queue is of use all the same: a request of many pictures
# is split into single ones, so that memory is that of one picture, however many clients ask; and
# there is an end to the queue, beyond which requests are answered UNAVAILABLE at once.
#
# On a processor, batches gain little: one picture occupies all cores.

# Pictures of a request, at most.
max_batch_size {{ value: {rows} }}
# Pictures that are made at once by one thread.
enable_large_batch_splitting {{ value: true }}
max_execution_batch_size {{ value: 1 }}
# Threads. Each takes the memory of a picture: give more of both together.
num_batch_threads {{ value: 1 }}
# Pictures that wait, for each signature.
max_enqueued_batches {{ value: 128 }}
# None waits for others to come.
batch_timeout_micros {{ value: 0 }}
pad_variable_length_inputs: false
"""

MONITORING = """\
# MonitoringConfig of TF Serving (--monitoring_config_file): for Prometheus, on the REST port.
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

COMPOSE = """\
# TF Serving of {title}: docker compose up, in this folder.
{pinning}
name: {host}
services:
  serving:
    image: {image}
    # The image's own entry point wants MODEL_NAME: this is the binary that it starts.
    entrypoint: ["/usr/bin/tensorflow_model_server"]
    command:{arguments}
    ports:
      - "8500:8500"
      - "8501:8501"
    volumes:
      - ..:/models:ro
    cpus: {cpus}
    mem_limit: {mem_limit}
    read_only: true
    restart: unless-stopped
"""

KUBERNETES = """\
# TF Serving of {title} on Kubernetes: kubectl apply -f kubernetes.yaml, once the versions of the
# model and this folder are in the volume of the claim {claim}.
{pinning}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {host}
  labels:
    app: {host}
spec:
  replicas: 1
  selector:
    matchLabels:
      app: {host}
  template:
    metadata:
      labels:
        app: {host}
      annotations:
        prometheus.io/scrape: "true"
        prometheus.io/port: "8501"
        prometheus.io/path: /monitoring/prometheus/metrics
    spec:
      containers:
        - name: serving
          image: {image}
          command: ["/usr/bin/tensorflow_model_server"]
          args:{arguments}
          ports:
            - name: grpc
              containerPort: 8500
            - name: rest
              containerPort: 8501
          # Not before the model is loaded and its warm-up requests are answered.
          readinessProbe:
            httpGet:
              path: {metadata}
              port: rest
            periodSeconds: 5
            failureThreshold: 3
          startupProbe:
            httpGet:
              path: {metadata}
              port: rest
            periodSeconds: 5
            failureThreshold: 60
          livenessProbe:
            tcpSocket:
              port: grpc
            periodSeconds: 10
          resources:
            requests:
              cpu: {cpus_text}
              memory: {memory}
            limits:
              memory: {memory}
          volumeMounts:
            - name: models
              mountPath: /models
              readOnly: true
      volumes:
        - name: models
          persistentVolumeClaim:
            claimName: {host}
---
apiVersion: v1
kind: Service
metadata:
  name: {host}
spec:
  selector:
    app: {host}
  ports:
    - name: grpc
      port: 8500
      targetPort: grpc
    - name: rest
      port: 8501
      targetPort: rest
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {host}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {host}
  minReplicas: 1
  maxReplicas: {replicas}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: 80
"""
