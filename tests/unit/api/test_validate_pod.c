/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of pods, a row each: what is put into a good pod, and the complaint. Its first part is the field below where
 * the fragment was put; "" is that place itself.
 */
#include "api/default.h"
#include "api/resource.h"
#include "api/validate.h"
#include "testing.h"

#define INVALID "|FieldValueInvalid|Invalid value: "
#define REQUIRED "|FieldValueRequired|Required value"
#define FORBIDDEN "|FieldValueForbidden|Forbidden: "
#define UNSUPPORTED "|FieldValueNotSupported|Unsupported value: "
#define DUPLICATE "|FieldValueDuplicate|Duplicate value: "
#define MISSING "|FieldValueNotFound|Not found: "

struct row {
	const char *in, *cause; /* NULL: fine */
};

/* In a container. */
static const struct row containers[] = {
    {"'ports':[{'containerPort':80,'name':'http'},{'containerPort':81,'name':'http'}]",
     "ports[1].name" DUPLICATE "\"http\""},
    {"'ports':[{'containerPort':80,'name':'much-too-long-name'}]",
     "ports[0].name" INVALID "\"much-too-long-name\": must be no more than 15 characters"},
    {"'ports':[{}]", "ports[0].containerPort" REQUIRED},
    {"'ports':[{'containerPort':80,'hostPort':70000}]",
     "ports[0].hostPort" INVALID "70000: must be between 1 and 65535, inclusive"},
    {"'ports':[{'containerPort':80,'protocol':'tcp'}]",
     "ports[0].protocol" UNSUPPORTED "\"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\""},
    {"'ports':[{'containerPort':80,'hostPort':8080},{'containerPort':81,'hostPort':8080}]",
     "ports[1].hostPort" DUPLICATE "\"TCP//8080\""},
    {"'ports':[{'containerPort':80,'hostPort':8080},{'containerPort':81,'hostPort':8080,'protocol':'UDP'}]", NULL},
    /* environment */
    {"'env':[{'name':'a=b','value':'x'}]", "env[0].name" INVALID "\"a=b\""},
    {"'env':[{'name':'1-a.b','value':'x'}]", NULL},
    {"'env':[{'name':'A','valueFrom':{}}]", "env[0].valueFrom" INVALID "\"\": must specify one of: `fieldRef`"},
    {"'env':[{'name':'A','value':'x','valueFrom':{'fieldRef':{'fieldPath':'metadata.name'}}}]",
     "env[0].valueFrom" INVALID "\"\": may not be specified when `value` is not empty"},
    {"'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'metadata.name'},'secretKeyRef':{'name':'s','key':'k'}}}"
     "]",
     "env[0].valueFrom" INVALID "\"\": may not have more than one field specified at a time"},
    {"'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'metadata.labels'}}}]",
     "env[0].valueFrom.fieldRef.fieldPath" UNSUPPORTED "\"metadata.labels\": supported values: \"metadata.name\""},
    {"'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'spec.nonsense'}}}]",
     "env[0].valueFrom.fieldRef.fieldPath" INVALID "\"spec.nonsense\": error converting fieldPath"},
    {"'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'metadata.labels[\\u0027a/b\\u0027]'}}}]", NULL},
    {"'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'metadata.labels[\\u0027-\\u0027]'}}}]",
     "env[0].valueFrom.fieldRef" INVALID "\"-\": name part"},
    {"'env':[{'name':'A','valueFrom':{'fieldRef':{'fieldPath':'metadata.name[\\u0027a\\u0027]'}}}]",
     "env[0].valueFrom.fieldRef" INVALID "\"metadata.name\": does not support subscript"},
    {"'env':[{'name':'A','valueFrom':{'fieldRef':{'apiVersion':'v2','fieldPath':'metadata.name'}}}]",
     "env[0].valueFrom.fieldRef.fieldPath" INVALID "\"metadata.name\": error converting fieldPath"},
    {"'env':[{'name':'A','valueFrom':{'resourceFieldRef':{'resource':'limits.gpu'}}}]",
     "env[0].valueFrom.resourceFieldRef.resource" UNSUPPORTED "\"limits.gpu\""},
    {"'env':[{'name':'A','valueFrom':{'resourceFieldRef':{'resource':'limits.hugepages-2Mi'}}}]", NULL},
    {"'env':[{'name':'A','valueFrom':{'resourceFieldRef':{'resource':'limits.cpu','divisor':'10m'}}}]",
     "env[0].valueFrom.resourceFieldRef.divisor" INVALID "\"limits.cpu\": only divisor's values 1m and 1"},
    {"'env':[{'name':'A','valueFrom':{'resourceFieldRef':{'resource':'limits.memory','divisor':'2Mi'}}}]",
     "env[0].valueFrom.resourceFieldRef.divisor" INVALID "\"limits.memory\": only divisor's values 1, 1k"},
    {"'env':[{'name':'A','valueFrom':{'secretKeyRef':{'name':'s'}}}]", "env[0].valueFrom.secretKeyRef.key" REQUIRED},
    {"'env':[{'name':'A','valueFrom':{'configMapKeyRef':{'name':'A','key':'k'}}}]",
     "env[0].valueFrom.configMapKeyRef.name" INVALID "\"A\""},
    {"'env':[{'name':'A','valueFrom':{'configMapKeyRef':{'name':'a','key':'a/b'}}}]",
     "env[0].valueFrom.configMapKeyRef.key" INVALID "\"a/b\""},
    {"'env':[{'name':'A','valueFrom':{'fileKeyRef':{'volumeName':'empty','path':'e','key':'K'}}}]", NULL},
    {"'env':[{'name':'A','valueFrom':{'fileKeyRef':{'volumeName':'none','path':'e','key':'K'}}}]",
     "env[0].valueFrom.fileKeyRef.volumeName" MISSING "\"none\""},
    {"'env':[{'name':'A','valueFrom':{'fileKeyRef':{'volumeName':'claim','path':'e','key':'K'}}}]",
     "env[0].valueFrom.fileKeyRef.volumeName" INVALID "\"claim\": must be an emptyDir volume"},
    {"'env':[{'name':'A','valueFrom':{'fileKeyRef':{'volumeName':'empty','path':'../e','key':'K'}}}]",
     "env[0].valueFrom.fileKeyRef.path" INVALID "\"../e\": must not contain '..'"},
    {"'envFrom':[{}]", "envFrom" INVALID "\"\": must specify one of: `configMapRef` or `secretRef`"},
    {"'envFrom':[{'configMapRef':{'name':'a'},'secretRef':{'name':'a'}}]",
     "envFrom" INVALID "\"\": may not have more than one"},
    {"'envFrom':[{'configMapRef':{}}]", "envFrom[0].configMapRef.name" REQUIRED},
    {"'envFrom':[{'secretRef':{'name':'A'}}]", "envFrom[0].secretRef.name" INVALID "\"A\""},
    {"'envFrom':[{'prefix':'a=','secretRef':{'name':'a'}}]", "envFrom[0].prefix" INVALID "\"a=\""},
    /* mounts */
    {"'volumeMounts':[{'name':'empty'}]", "volumeMounts[0].mountPath" REQUIRED},
    {"'volumeMounts':[{'name':'empty','mountPath':'/a'},{'name':'claim','mountPath':'/a'}]",
     "volumeMounts[1].mountPath" INVALID "\"/a\": must be unique"},
    {"'volumeMounts':[{'name':'empty','mountPath':'/a','subPath':'/b'}]",
     "volumeMounts.subPath" INVALID "\"/b\": must be a relative path"},
    {"'volumeMounts':[{'name':'empty','mountPath':'/a','subPath':'b/../c'}]",
     "volumeMounts.subPath" INVALID "\"b/../c\": must not contain '..'"},
    {"'volumeMounts':[{'name':'empty','mountPath':'/a','subPath':'b','subPathExpr':'c'}]",
     "volumeMounts[0].subPathExpr" INVALID "\"c\": subPathExpr and subPath are mutually exclusive"},
    {"'volumeMounts':[{'name':'image','mountPath':'/a','subPath':'b'}]",
     "volumeMounts[0].subPath" INVALID "\"b\": not allowed in image volume sources"},
    {"'volumeMounts':[{'name':'empty','mountPath':'/a','mountPropagation':'Up'}]",
     "volumeMounts.mountPropagation" UNSUPPORTED "\"Up\""},
    {"'volumeMounts':[{'name':'empty','mountPath':'/a','mountPropagation':'Bidirectional'}]",
     "volumeMounts.mountPropagation" FORBIDDEN "Bidirectional mount propagation"},
    {"'securityContext':{'privileged':true},'volumeMounts':[{'name':'empty','mountPath':'/a',"
     "'mountPropagation':'Bidirectional'}]",
     NULL},
    {"'volumeMounts':[{'name':'empty','mountPath':'/a','recursiveReadOnly':'Enabled'}]",
     "volumeMounts.recursiveReadOnly" FORBIDDEN "may only be specified when readOnly is true"},
    {"'volumeMounts':[{'name':'empty','mountPath':'/a','readOnly':true,'recursiveReadOnly':'IfPossible',"
     "'mountPropagation':'HostToContainer'}]",
     "volumeMounts.recursiveReadOnly" FORBIDDEN "may only be specified when mountPropagation is None"},
    {"'volumeMounts':[{'name':'claim','mountPath':'/a'}],'volumeDevices':[{'name':'claim','devicePath':'/b'}]",
     "volumeMounts[0].name" INVALID "\"claim\": must not already exist in volumeDevices"},
    {"'volumeMounts':[{'name':'empty','mountPath':'/a'}],'volumeDevices':[{'name':'claim','devicePath':'/a'}]",
     "volumeDevices[0].devicePath" INVALID "\"/a\": must not already exist as a path in volumeMounts"},
    {"'volumeDevices':[{'name':'empty','devicePath':'/a'}]",
     "volumeDevices[0].name" INVALID "\"empty\": can only use volume source type of PersistentVolumeClaim"},
    {"'volumeDevices':[{'name':'none','devicePath':'/a'}]", "volumeDevices[0].name" MISSING "\"none\""},
    {"'volumeDevices':[{'name':'claim'}]", "volumeDevices[0].devicePath" REQUIRED},
    {"'volumeDevices':[{'name':'claim','devicePath':'/a/../b'}]",
     "volumeDevices[0].devicePath" INVALID "\"/a/../b\": can not contain backsteps"},
    /* resources */
    {"'resources':{'limits':{'gpu':'1'}}", "resources.limits[gpu]" INVALID "\"gpu\": must be a standard resource"},
    {"'resources':{'limits':{'pods':'1'}}",
     "resources.limits[pods]" INVALID "\"pods\": must be a standard resource for containers"},
    {"'resources':{'limits':{'example.com/gpu':'1'}}", NULL},
    {"'resources':{'limits':{'example.com/gpu':'500m'}}",
     "resources.limits[example.com/gpu]" INVALID "\"500m\": must be an integer"},
    {"'resources':{'requests':{'example.com/gpu':'1'}}", "resources.limits" REQUIRED ": Limit must be set"},
    {"'resources':{'limits':{'example.com/gpu':'2'},'requests':{'example.com/gpu':'1'}}",
     "resources.requests" INVALID "\"1\": must be equal to example.com/gpu limit of 2"},
    {"'resources':{'limits':{'requests.example.com/gpu':'1'}}",
     "resources.limits[requests.example.com/gpu]" INVALID "\"requests.example.com/gpu\": doesn't follow extended"},
    {"'resources':{'limits':{'hugepages-2Mi':'3Mi','cpu':'1'}}",
     "resources.limits[hugepages-2Mi]" INVALID "\"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi"},
    {"'resources':{'limits':{'hugepages-2Mi':'4Mi'}}", "resources" FORBIDDEN "HugePages require cpu or memory"},
    {"'resources':{'claims':[{'name':'dev'}]}", NULL},
    {"'resources':{'claims':[{'name':'dev'},{'name':'dev'}]}", "resources.claims[1]" DUPLICATE "\"dev\""},
    {"'resources':{'claims':[{'name':'dev','request':'a'},{'name':'dev'}]}", "resources.claims[1]" DUPLICATE "\"dev\""},
    {"'resources':{'claims':[{'name':'x'}]}",
     "resources.claims[0]" MISSING "\"x\": must be one of the names in pod.spec.resourceClaims: dev"},
    {"'resizePolicy':[{'resourceName':'disk','restartPolicy':'NotRequired'}]",
     "resizePolicy" UNSUPPORTED "\"disk\": supported values: \"cpu\", \"memory\""},
    {"'resizePolicy':[{'resourceName':'cpu','restartPolicy':'NotRequired'},"
     "{'resourceName':'cpu','restartPolicy':'NotRequired'}]",
     "resizePolicy[1]" DUPLICATE "\"cpu\""},
    /* probes and hooks */
    {"'readinessProbe':{}", "readinessProbe" REQUIRED ": must specify a handler type"},
    {"'livenessProbe':{'exec':{}}", "livenessProbe.exec.command" REQUIRED},
    {"'livenessProbe':{'tcpSocket':{'port':80},'successThreshold':2}",
     "livenessProbe.successThreshold" INVALID "2: must be 1"},
    {"'readinessProbe':{'tcpSocket':{'port':80},'successThreshold':2}", NULL},
    {"'startupProbe':{'tcpSocket':{'port':0}}", "startupProbe.tcpSocket.port" INVALID "0: must be between 1 and"},
    {"'startupProbe':{'tcpSocket':{'port':'a_b'}}", "startupProbe.tcpSocket.port" INVALID "\"a_b\": must contain only"},
    {"'startupProbe':{'httpGet':{'port':80,'scheme':'FTP'}}", "startupProbe.httpGet.scheme" UNSUPPORTED "\"FTP\""},
    {"'startupProbe':{'httpGet':{'port':80,'httpHeaders':[{'name':'a b'}]}}",
     "startupProbe.httpGet.httpHeaders" INVALID "\"a b\": a valid HTTP header"},
    {"'startupProbe':{'grpc':{'port':70000}}", "startupProbe.grpc.port" INVALID "70000"},
    {"'livenessProbe':{'tcpSocket':{'port':80},'periodSeconds':-1}",
     "livenessProbe.periodSeconds" INVALID "-1: must be greater than or equal to 0"},
    {"'livenessProbe':{'tcpSocket':{'port':80},'terminationGracePeriodSeconds':0}",
     "livenessProbe.terminationGracePeriodSeconds" INVALID "0: must be greater than 0"},
    {"'readinessProbe':{'tcpSocket':{'port':80},'terminationGracePeriodSeconds':5}",
     "readinessProbe.terminationGracePeriodSeconds" INVALID "5: must not be set for readinessProbes"},
    {"'lifecycle':{'preStop':{}}", "lifecycle.preStop" REQUIRED ": must specify a handler type"},
    {"'lifecycle':{'preStop':{'sleep':{'seconds':31}}}",
     "lifecycle.preStop.sleep" INVALID "31: must be non-negative and less than terminationGracePeriodSeconds (30)"},
    {"'lifecycle':{'preStop':{'sleep':{'seconds':0}}}", NULL},
    {"'lifecycle':{'stopSignal':'SIGUSR1'}",
     "lifecycle.stopSignal" FORBIDDEN "may not be set for containers with empty `spec.os.name`"},
    {"'restartPolicyRules':[{'action':'Restart','exitCodes':{'operator':'In','values':[1]}}]",
     "restartPolicy" REQUIRED ": must specify restartPolicy when restart rules are used"},
    {"'restartPolicy':'Never','restartPolicyRules':[{'action':'Restart','exitCodes':{'operator':'In','values':[1]}}]",
     NULL},
    {"'restartPolicy':'Never','restartPolicyRules':[{'action':'Restart'}]",
     "restartPolicyRules[0].exitCodes" REQUIRED ": must be specified"},
    {"'restartPolicy':'Never','restartPolicyRules':[{'action':'Run','exitCodes':{'operator':'Eq'}}]",
     "restartPolicyRules[0].exitCodes.operator" UNSUPPORTED "\"Eq\""},
    {"'restartPolicy':'Sometimes'", "restartPolicy" UNSUPPORTED "\"Sometimes\""},
    /* the rest */
    {"'terminationMessagePolicy':'Log'",
     "terminationMessagePolicy" UNSUPPORTED "\"Log\": supported values: \"File\", \"FallbackToLogsOnError\""},
    {"'imagePullPolicy':'Once'", "imagePullPolicy" UNSUPPORTED "\"Once\": supported values: \"Always\""},
    {"'image':' i'", "image" INVALID "\" i\": must not have leading or trailing whitespace"},
    {"'securityContext':{'runAsUser':-1}",
     "securityContext.runAsUser" INVALID "-1: must be between 0 and 2147483647, inclusive"},
    {"'securityContext':{'procMount':'Unmasked'}",
     "securityContext.procMount" INVALID "\"Unmasked\": `hostUsers` must be false"},
    {"'securityContext':{'seccompProfile':{'type':'Localhost'}}",
     "securityContext.seccompProfile.localhostProfile" REQUIRED ": must be set when seccomp type is Localhost"},
    {"'securityContext':{'seccompProfile':{'type':'Unconfined','localhostProfile':'x'}}",
     "securityContext.seccompProfile.localhostProfile" INVALID "{"},
    {"'securityContext':{'seccompProfile':{'type':'Localhost','localhostProfile':'/x'}}",
     "securityContext.seccompProfile.localhostProfile" INVALID "\"/x\": must be a relative path"},
    {"'securityContext':{'seccompProfile':{}}", "securityContext.seccompProfile.type" REQUIRED},
    {"'securityContext':{'appArmorProfile':{'type':'Localhost','localhostProfile':' x'}}",
     "securityContext.appArmorProfile.localhostProfile" INVALID "\" x\": must not be padded with whitespace"},
    {"'securityContext':{'appArmorProfile':{'type':'Most'}}",
     "securityContext.appArmorProfile.type" UNSUPPORTED "\"Most\": supported values: \"Localhost\""},
    {"'securityContext':{'allowPrivilegeEscalation':false,'capabilities':{'add':['CAP_SYS_ADMIN']}}",
     "securityContext" INVALID "{"},
    {"'securityContext':{'windowsOptions':{'runAsUserName':''}}",
     "securityContext.windowsOptions.runAsUserName" INVALID "\"\": runAsUserName cannot be an empty string"},
    {"'securityContext':{'windowsOptions':{'runAsUserName':'a@b'}}",
     "securityContext.windowsOptions.runAsUserName" INVALID "\"a@b\": runAsUserName's User cannot contain"},
};

/* A volume's source. */
static const struct row volumes[] = {
    {"'emptyDir':{'sizeLimit':'-1'}", "emptyDir.sizeLimit" FORBIDDEN "SizeLimit field must be a valid"},
    {"'hostPath':{}", "hostPath.path" REQUIRED},
    {"'hostPath':{'path':'/a/../b'}", "hostPath.path" INVALID "\"/a/../b\": must not contain '..'"},
    {"'hostPath':{'path':'/a','type':'Pipe'}", "hostPath.type" UNSUPPORTED "\"Pipe\""},
    {"'gitRepo':{'repository':'r','directory':'/d'}", "gitRepo.directory" INVALID "\"/d\": must be a relative path"},
    {"'gcePersistentDisk':{'pdName':'d','partition':256}", "persistentDisk.partition" INVALID "256: must be between 1"},
    {"'awsElasticBlockStore':{}", "awsElasticBlockStore.volumeID" REQUIRED},
    {"'secret':{}", "secret.secretName" REQUIRED},
    {"'secret':{'secretName':'s','defaultMode':512}", "secret.defaultMode" INVALID "512: must be a number between 0"},
    {"'secret':{'secretName':'s','items':[{'key':'k','path':'../p'}]}",
     "secret.items[0].path" INVALID "\"../p\": must not contain '..'"},
    {"'configMap':{'name':'c','items':[{'key':'k','path':'..p'}]}",
     "configMap.items[0].path" INVALID "\"..p\": must not start with '..'"},
    {"'configMap':{'name':'c','items':[{'path':'p'}]}", "configMap.items[0].key" REQUIRED},
    {"'configMap':{'name':'c','items':[{'key':'k','path':'p','mode':-1}]}", "configMap.items[0].mode" INVALID "-1"},
    {"'nfs':{'server':'s','path':'p'}", "nfs.path" INVALID "\"p\": must be an absolute path"},
    {"'iscsi':{'targetPortal':'p','iqn':'foo','lun':0}", "iscsi.iqn" INVALID "\"foo\": must be valid format starting"},
    {"'iscsi':{'targetPortal':'p','iqn':'iqn.2001-04.com.example:disk','lun':256}",
     "iscsi.lun" INVALID "256: must be between 0 and 255, inclusive"},
    {"'iscsi':{'targetPortal':'p','iqn':'iqn.2001-04.com','lun':0}", "iscsi.iqn" INVALID "\"iqn.2001-04.com\": must"},
    {"'iscsi':{'targetPortal':'p','iqn':'eui.0123456789ABCDEF','lun':0}", NULL},
    {"'iscsi':{'targetPortal':'p','iqn':'iqn.2001-04.com.example:disk','lun':0,'chapAuthSession':true}",
     "iscsi.secretRef" REQUIRED},
    {"'glusterfs':{'path':'p'}", "glusterfs.endpoints" REQUIRED},
    {"'flocker':{}", "flocker" REQUIRED ": one of datasetName and datasetUUID is required"},
    {"'flocker':{'datasetName':'a/b'}", "flocker.datasetName" INVALID "\"a/b\": must not contain '/'"},
    {"'persistentVolumeClaim':{}", "persistentVolumeClaim.claimName" REQUIRED},
    {"'rbd':{'image':'i'}", "rbd.monitors" REQUIRED},
    {"'cinder':{'volumeID':'v','secretRef':{}}", "cinder.secretRef.name" REQUIRED},
    {"'quobyte':{'registry':'a','volume':'v'}", "quobyte.registry" INVALID "\"a\": must be a host:port pair"},
    {"'fc':{}", "fc.targetWWNs" REQUIRED ": must specify either targetWWNs or wwids"},
    {"'fc':{'targetWWNs':['a']}", "fc.lun" REQUIRED ": lun is required if targetWWNs is specified"},
    {"'flexVolume':{'driver':'d','options':{'a.kubernetes.io/x':'1'}}",
     "flexVolume.options[a.kubernetes.io/x]" INVALID "\"a.kubernetes.io/x\": kubernetes.io and k8s.io namespaces"},
    {"'azureFile':{'secretName':'s'}", "azureFile.shareName" REQUIRED},
    {"'azureDisk':{'diskName':'d','diskURI':'u','kind':'Managed'}", "azureDisk.diskURI" UNSUPPORTED "\"u\""},
    {"'storageos':{'volumeName':'A'}", "storageos.volumeName" INVALID "\"A\""},
    {"'scaleIO':{'gateway':'g','system':'s'}", "scaleIO.volumeName" REQUIRED},
    {"'csi':{'driver':'a_b'}", "csi.driver" INVALID "\"a_b\""},
    {"'csi':{'driver':'a','nodePublishSecretRef':{}}", "csi.nodePublishSecretRef.name" REQUIRED},
    {"'image':{}", "image.reference" REQUIRED},
    {"'image':{'reference':'r','pullPolicy':'x'}", "image.pullPolicy" UNSUPPORTED "\"x\""},
    {"'ephemeral':{}", "ephemeral.volumeClaimTemplate" REQUIRED},
    {"'ephemeral':{'volumeClaimTemplate':{'metadata':{'name':'n'},'spec':{'accessModes':['ReadWriteOnce'],'resources':"
     "{'requests':{'storage':'1Gi'}}}}}",
     "ephemeral.volumeClaimTemplate.metadata.name" FORBIDDEN "cannot be set"},
    {"'ephemeral':{'volumeClaimTemplate':{'spec':{'accessModes':['ReadWriteOnce']}}}",
     "ephemeral.volumeClaimTemplate.spec.resources[storage]" REQUIRED},
    {"'downwardAPI':{'items':[{'path':'p'}]}", "downwardAPI" REQUIRED ": one of fieldRef and resourceFieldRef"},
    {"'downwardAPI':{'items':[{'path':'p','fieldRef':{'fieldPath':'metadata.labels'}}]}", NULL},
    {"'downwardAPI':{'items':[{'path':'p','fieldRef':{'fieldPath':'status.podIP'}}]}",
     "downwardAPI.fieldRef.fieldPath" UNSUPPORTED "\"status.podIP\": supported values: \"metadata.annotations\""},
    {"'downwardAPI':{'items':[{'path':'p','resourceFieldRef':{'resource':'limits.cpu'}}]}",
     "downwardAPI.resourceFieldRef.containerName" REQUIRED},
    /* projected */
    {"'projected':{'sources':[{'secret':{}}]}", "projected.sources[0].secret.name" REQUIRED},
    {"'projected':{'sources':[{'secret':{'name':'s'},'configMap':{'name':'c'}}]}",
     "projected.sources[0]" FORBIDDEN "may not specify more than 1 volume type per source"},
    {"'projected':{'sources':[{'secret':{'name':'s','items':[{'key':'k','path':'p'}]}},"
     "{'configMap':{'name':'c','items':[{'key':'k','path':'p'}]}}]}",
     "projected" INVALID "\"c\": conflicting duplicate paths"},
    {"'projected':{'sources':[{'serviceAccountToken':{'path':'t','expirationSeconds':60}}]}",
     "projected.sources[0].serviceAccountToken.expirationSeconds" INVALID "60: may not specify a duration less than"},
    {"'projected':{'sources':[{'serviceAccountToken':{}}]}", "projected.path" REQUIRED},
    {"'projected':{'sources':[{'clusterTrustBundle':{'path':'p'}}]}",
     "projected.sources[0].clusterTrustBundle" REQUIRED ": either name or signerName must be specified"},
    {"'projected':{'sources':[{'clusterTrustBundle':{'path':'p','name':'a','signerName':'b.c/d'}}]}",
     "projected.sources[0].clusterTrustBundle" INVALID "{"},
    {"'projected':{'sources':[{'clusterTrustBundle':{'path':'p','signerName':'example.com/x','labelSelector':{}}}]}",
     NULL},
    {"'projected':{'sources':[{'podCertificate':{'signerName':'example.com/x','keyType':'ED25519'}}]}",
     "projected.sources[0].podCertificate" REQUIRED ": specify at least one of credentialBundlePath"},
    {"'projected':{'sources':[{'podCertificate':{'signerName':'x','keyType':'ED25519','keyPath':'k'}}]}",
     "projected.sources[0].podCertificate.signerName" INVALID "\"x\""},
    {"'projected':{'sources':[{'podCertificate':{'signerName':'example.com/x','keyType':'RSA','keyPath':'k'}}]}",
     "projected.sources[0].podCertificate.keyType" UNSUPPORTED "\"RSA\""},
    {"'projected':{'sources':[{'podCertificate':{'signerName':'example.com/x','keyType':'ED25519','keyPath':'k',"
     "'maxExpirationSeconds':60}}]}",
     "projected.sources[0].podCertificate.maxExpirationSeconds" INVALID "60: if provided"},
};

/* In the spec. */
static const struct row specs[] = {
    {"'volumes':[{'name':'v','emptyDir':{}},{'name':'v','emptyDir':{}}]", "volumes[1].name" DUPLICATE "\"v\""},
    {"'volumes':[{'name':'V','emptyDir':{}}]", "volumes[0].name" INVALID "\"V\""},
    {"'volumes':[{'name':'v','persistentVolumeClaim':{'claimName':'x-e'}},{'name':'e','ephemeral':{"
     "'volumeClaimTemplate':{'spec':{'accessModes':['ReadWriteOnce'],'resources':{'requests':{'storage':'1'}}}}}}]",
     "volumes[0].persistentVolumeClaim.claimName" INVALID "\"x-e\": must not reference a PVC"},
    {"'serviceAccountName':'','volumes':[{'name':'v','projected':{'sources':[{'serviceAccountToken':{'path':'t'}}]}}]",
     "volumes[0].projected.sources[0].serviceAccountToken" FORBIDDEN "must not be specified when serviceAccountName"},
    /* lists of containers */
    {"'initContainers':[{'name':'c','image':'i'}]", "initContainers[0].name" DUPLICATE "\"c\""},
    {"'initContainers':[{'name':'i','image':'i','livenessProbe':{'tcpSocket':{'port':80}}}]",
     "initContainers[0].livenessProbe" FORBIDDEN "may not be set for init containers without restartPolicy=Always"},
    {"'initContainers':[{'name':'i','image':'i','restartPolicy':'Always','livenessProbe':{'tcpSocket':{'port':80}}}]",
     NULL},
    {"'initContainers':[{'name':'i','image':'i','ports':[{'containerPort':1,'hostPort':1}]},"
     "{'name':'j','image':'i','ports':[{'containerPort':1,'hostPort':1}]}]",
     NULL},
    {"'initContainers':[{'name':'i','image':'i','resizePolicy':[{'resourceName':'cpu','restartPolicy':"
     "'RestartContainer'}]}],'restartPolicy':'Never'",
     "initContainers[0].resizePolicy" INVALID "\"RestartContainer\": must be 'NotRequired' when"},
    {"'ephemeralContainers':[{'name':'e','image':'i'}]", "ephemeralContainers" FORBIDDEN "cannot be set on create"},
    {"'ephemeralContainers':[{'name':'e','image':'i','ports':[{'containerPort':1}]}]",
     "ephemeralContainers[0].ports" FORBIDDEN "cannot be set for an Ephemeral Container"},
    {"'ephemeralContainers':[{'name':'e','image':'i','targetContainerName':'x'}]",
     "ephemeralContainers[0].targetContainerName" MISSING "\"x\""},
    /* claims, and the pod's own resources */
    {"'resourceClaims':[{'name':'a'}]", "resourceClaims[0]" INVALID "{\"name\":\"a\"}: must specify one of"},
    {"'resourceClaims':[{'name':'a','resourceClaimName':'x','resourceClaimTemplateName':'y'}]",
     "resourceClaims[0]" INVALID "{"},
    {"'resources':{'limits':{'ephemeral-storage':'1'}}",
     "resources.limits[ephemeral-storage]" UNSUPPORTED
     "\"ephemeral-storage\": supported values: \"cpu\", \"hugepages-\", \"memory\""},
    {"'resources':{'claims':[{'name':'a'}]}", "resources.claims" FORBIDDEN "claims may not be set for Resources at"},
    {"'resources':{'requests':{'cpu':'1'}},'initContainers':[{'name':'i','image':'i','resources':{'requests':{'cpu':"
     "'2'}}}]",
     "resources.requests[cpu]" INVALID "\"1\": must be greater than or equal to aggregate container requests of 2"},
    /* network */
    {"'hostNetwork':true,'initContainers':[],'dnsPolicy':'Never'", "dnsPolicy" UNSUPPORTED "\"Never\""},
    {"'dnsPolicy':'None'", "dnsConfig" REQUIRED ": must provide `dnsConfig` when `dnsPolicy` is None"},
    {"'dnsPolicy':'None','dnsConfig':{'searches':['a']}", "dnsConfig.nameservers" REQUIRED},
    {"'dnsConfig':{'nameservers':['1.1.1.1','1.1.1.2','1.1.1.3','1.1.1.4']}",
     "dnsConfig.nameservers" INVALID "[\"1.1.1.1\",\"1.1.1.2\",\"1.1.1.3\",\"1.1.1.4\"]: must not have more than 3"},
    {"'dnsConfig':{'nameservers':['a']}", "dnsConfig.nameservers[0]" INVALID "\"a\": must be a valid IP address"},
    {"'dnsConfig':{'searches':['a_b.c.','.']}", NULL},
    {"'dnsConfig':{'searches':['a b']}", "dnsConfig.searches[0]" INVALID "\"a b\""},
    {"'dnsConfig':{'options':[{'value':'x'}]}", "dnsConfig.options[0]" REQUIRED ": must not be empty"},
    {"'hostAliases':[{'ip':'a'}]", "hostAliases[0].ip" INVALID "\"a\": must be a valid IP address"},
    {"'hostAliases':[{'ip':'1.1.1.1','hostnames':['A']}]", "hostAliases[0].hostnames[0]" INVALID "\"A\""},
    {"'hostname':'a.b'", "hostname" INVALID "\"a.b\""},
    {"'subdomain':'a.b'", "subdomain" INVALID "\"a.b\""},
    {"'hostnameOverride':'a.b'", NULL},
    {"'hostnameOverride':'a','setHostnameAsFQDN':true", "hostnameOverride" FORBIDDEN "may not be set when"},
    {"'hostnameOverride':'a','hostNetwork':true", "hostnameOverride" FORBIDDEN "may not be set when `hostNetwork`"},
    {"'hostUsers':false,'hostNetwork':true", "hostNetwork" FORBIDDEN "when `pod.Spec.HostUsers` is false"},
    {"'hostUsers':false,'volumes':[{'name':'v','persistentVolumeClaim':{'claimName':'p'}}],'initContainers':[{'name':'"
     "i',"
     "'image':'i','volumeDevices':[{'name':'v','devicePath':'/d'}]}]",
     "initContainers[0].volumeDevices" FORBIDDEN "when `pod.Spec.HostUsers` is false"},
    /* security */
    {"'shareProcessNamespace':true,'hostPID':true", "securityContext.shareProcessNamespace" INVALID "true"},
    {"'securityContext':{'supplementalGroups':[-1]}", "securityContext.supplementalGroups[0]" INVALID "-1: must be"},
    {"'securityContext':{'fsGroup':-1}", "securityContext.fsGroup" INVALID "-1: must be between"},
    {"'securityContext':{'fsGroupChangePolicy':'x'}",
     "securityContext.fsGroupChangePolicy" UNSUPPORTED "\"x\": supported values: \"Always\", \"OnRootMismatch\""},
    {"'securityContext':{'supplementalGroupsPolicy':'x'}", "securityContext.supplementalGroupsPolicy" UNSUPPORTED},
    {"'securityContext':{'seLinuxChangePolicy':'x'}", "securityContext.seLinuxChangePolicy" UNSUPPORTED},
    {"'securityContext':{'sysctls':[{'name':'A'}]}", "securityContext.sysctls[0].name" INVALID "\"A\": must have at"},
    {"'securityContext':{'sysctls':[{'name':'a.b'},{'name':'a.b'}]}",
     "securityContext.sysctls[1].name" DUPLICATE "\"a.b\""},
    {"'hostNetwork':true,'securityContext':{'sysctls':[{'name':'net.core.somaxconn'}]}",
     "securityContext.sysctls[0].name" INVALID "\"net.core.somaxconn\": may not be specified when 'hostNetwork'"},
    {"'hostIPC':true,'securityContext':{'sysctls':[{'name':'kernel/shmmax'}]}",
     "securityContext.sysctls[0].name" INVALID "\"kernel/shmmax\": may not be specified when 'hostIPC'"},
    {"'securityContext':{'windowsOptions':{'hostProcess':true}}", "hostNetwork" INVALID "false: hostNetwork must be"},
    /* operating systems */
    {"'os':{}", "os.name" REQUIRED},
    {"'os':{'name':'plan9'}", "os" UNSUPPORTED "\"plan9\": supported values: \"linux\", \"windows\""},
    {"'os':{'name':'windows'},'securityContext':{'runAsUser':1}",
     "securityContext.runAsUser" FORBIDDEN "cannot be set for a windows pod"},
    {"'os':{'name':'linux'},'securityContext':{'windowsOptions':{}}",
     "securityContext.windowsOptions" FORBIDDEN "windows options cannot be set for a linux pod"},
    {"'os':{'name':'linux'},'initContainers':[{'name':'i','image':'i','restartPolicy':'Always','lifecycle':{"
     "'stopSignal':'SIGRTMIN+3'}}]",
     NULL},
    {"'os':{'name':'linux'},'initContainers':[{'name':'i','image':'i','restartPolicy':'Always','lifecycle':{"
     "'stopSignal':'SIGNALE'}}]",
     "initContainers[0].lifecycle.stopSignal" UNSUPPORTED "\"SIGNALE\""},
    /* placement */
    {"'nodeSelector':{'a b':'c'}", "nodeSelector" INVALID "\"a b\""},
    {"'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{}}}",
     "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms" REQUIRED},
    {"'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':[{"
     "'matchExpressions':[{'key':'a','operator':'Gt','values':[]}]}]}}}",
     "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]."
     "values" REQUIRED ": must be specified single value"},
    {"'affinity':{'nodeAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':[{"
     "'matchFields':[{'key':'spec.x','operator':'In','values':['a']}]}]}}}",
     "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0]."
     "key" INVALID "\"spec.x\": not a valid field selector key"},
    {"'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':101,'preference':{}}]}}",
     "affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight" INVALID "101: must be in the"},
    {"'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{}]}}",
     "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey" REQUIRED},
    {"'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'a',"
     "'matchLabelKeys':['x']}]}}",
     "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys" FORBIDDEN},
    {"'affinity':{'podAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'a','labelSelector':"
     "{},'matchLabelKeys':['x'],'mismatchLabelKeys':['x']}]}}",
     "affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].matchLabelKeys[0]" INVALID "\"x\""},
    {"'affinity':{'podAntiAffinity':{'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'a','namespaces':"
     "['A']}]}}",
     "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].namespace" INVALID "\"A\""},
    {"'topologySpreadConstraints':[{'maxSkew':0,'topologyKey':'a','whenUnsatisfiable':'DoNotSchedule'}]",
     "topologySpreadConstraints[0].maxSkew" INVALID "0: must be greater than zero"},
    {"'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'a','whenUnsatisfiable':'Never'}]",
     "topologySpreadConstraints[0].whenUnsatisfiable" UNSUPPORTED "\"Never\""},
    {"'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'a','whenUnsatisfiable':'ScheduleAnyway','minDomains':1}"
     "]",
     "topologySpreadConstraints[0].minDomains" INVALID "1: can only use minDomains if"},
    {"'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'a','whenUnsatisfiable':'DoNotSchedule'},"
     "{'maxSkew':2,'topologyKey':'a','whenUnsatisfiable':'DoNotSchedule'}]",
     "topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}" DUPLICATE "\"{a, DoNotSchedule}\""},
    {"'topologySpreadConstraints':[{'maxSkew':1,'topologyKey':'a','whenUnsatisfiable':'DoNotSchedule',"
     "'nodeTaintsPolicy':'x'}]",
     "topologySpreadConstraints[0].nodeTaintsPolicy" UNSUPPORTED},
    {"'tolerations':[{'key':'a','operator':'Exists','value':'b'}]", "tolerations[0].operator" INVALID "\"b\": value"},
    {"'tolerations':[{'key':'a','operator':'Near'}]", "tolerations[0].operator" UNSUPPORTED "\"Near\""},
    {"'tolerations':[{'key':'a','operator':'Exists','effect':'Maybe'}]", "tolerations[0].effect" UNSUPPORTED},
    {"'tolerations':[{'key':'a','operator':'Exists','effect':'NoSchedule','tolerationSeconds':1}]",
     "tolerations[0].effect" INVALID "\"NoSchedule\": effect must be 'NoExecute'"},
    {"'tolerations':[{'key':'a b','operator':'Exists'}]", "tolerations[0].key" INVALID "\"a b\""},
    {"'readinessGates':[{'conditionType':'a b'}]", "readinessGates[0].conditionType" INVALID "\"a b\""},
    {"'schedulingGates':[{'name':'a'},{'name':'a'}]", "schedulingGates[1]" DUPLICATE "\"a\""},
    {"'schedulingGates':[{'name':'a'}],'nodeName':'n'", "nodeName" FORBIDDEN "cannot be set until all schedulingGates"},
    /* single members */
    {"'activeDeadlineSeconds':0", "activeDeadlineSeconds" INVALID "0: must be between 1 and 2147483647, inclusive"},
    {"'terminationGracePeriodSeconds':-1", NULL},
    {"'serviceAccountName':'A'", "serviceAccountName" INVALID "\"A\""},
    {"'nodeName':'A'", "nodeName" INVALID "\"A\""},
    {"'priorityClassName':'A'", "priorityClassName" INVALID "\"A\""},
    {"'runtimeClassName':'A'", "runtimeClassName" INVALID "\"A\""},
    {"'preemptionPolicy':'Always'", "preemptionPolicy" UNSUPPORTED "\"Always\""},
    {"'overhead':{'cpu':'-1'}", "overhead.limits[cpu]" INVALID "\"-1\": must be greater than or equal to 0"},
};

/* In the annotations. */
static const struct row annotations[] = {
    {"'kubernetes.io/config.mirror':'x'", "[kubernetes.io/config.mirror]" INVALID "\"x\": must set spec.nodeName"},
    {"'controller.kubernetes.io/pod-deletion-cost':'+1'",
     "[controller.kubernetes.io/pod-deletion-cost]" INVALID "\"+1\": must be a 32bit integer"},
    {"'controller.kubernetes.io/pod-deletion-cost':'-5'", NULL},
    {"'seccomp.security.alpha.kubernetes.io/pod':'x'",
     ".seccomp.security.alpha.kubernetes.io/pod" INVALID "\"x\": must be a valid seccomp profile"},
    {"'container.apparmor.security.beta.kubernetes.io/none':'unconfined'",
     "[container.apparmor.security.beta.kubernetes.io/none]" INVALID "\"none\": container not found"},
    {"'container.apparmor.security.beta.kubernetes.io/c':'x'",
     "[container.apparmor.security.beta.kubernetes.io/c]" INVALID "\"x\": invalid AppArmor profile name"},
};

static void judge(const char *object, const char *prefix, const struct row *row)
{
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct resource *r = resource_by_plural("", "pods");
	char got[4096] = "", want[1024];
	struct json *v = tree(&a, object);

	default_object(&a, r, v);
	int result = validate_create(r, v, &err);
	if (!row->cause) {
		if (result)
			fail_msg("%s: %s", row->in, err.message);
		return;
	}
	snprintf(want, sizeof(want), "%s%s", prefix, row->cause);
	for (size_t i = 0; i < err.n_causes; i++) {
		char one[1024];
		snprintf(one, sizeof(one), "%s|%s|%s", err.causes[i].field, err.causes[i].type, err.causes[i].message);
		if (strncmp(one, want, strlen(want)) == 0)
			return;
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "  %.500s\n", one);
	}
	fail_msg("%s\nwants %s\ngot\n%s", row->in, want, got);
}

#define META "'metadata':{'name':'x','namespace':'d'}"
#define C "{'name':'c','image':'i'}"
#define EACH(table, object, prefix)                                                                                    \
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {                                                               \
		_cleanup_arena_ struct arena a = ARENA_INIT;                                                           \
		judge(arena_printf(&a, object, table[i].in), prefix, &table[i]);                                       \
	}

static void test_containers(void **state)
{
	(void)state;
	EACH(containers,
	     "{" META ",'spec':{'containers':[{'name':'c','image':'i',%s}],'resourceClaims':[{'name':'dev',"
	     "'resourceClaimName':'x'}],'volumes':[{'name':'empty','emptyDir':{}},{'name':'claim',"
	     "'persistentVolumeClaim':{'claimName':'p'}},{'name':'image','image':{'reference':'r'}}]}}",
	     "spec.containers[0].")
}

static void test_volumes(void **state)
{
	(void)state;
	EACH(volumes, "{" META ",'spec':{'serviceAccountName':'s','containers':[" C "],'volumes':[{'name':'v',%s}]}}",
	     "spec.volumes[0].")
}

static void test_specs(void **state)
{
	(void)state;
	EACH(specs, "{" META ",'spec':{'containers':[" C "],%s}}", "spec.")
}

static void test_annotations(void **state)
{
	(void)state;
	EACH(annotations, "{'metadata':{'name':'x','namespace':'d','annotations':{%s}},'spec':{'containers':[" C "]}}",
	     "metadata.annotations")
}

/* All mistakes are told, in upstream's order. */
static void test_order(void **state)
{
	static const char *const fields[] = {
	    "spec.volumes[0].name", "spec.containers[0].image", "spec.containers[0].ports[0].containerPort",
	    "spec.restartPolicy",   "spec.nodeSelector",	"spec.tolerations[0].operator"};
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct resource *r = resource_by_plural("", "pods");
	struct json *v = tree(&a, "{" META ",'spec':{'tolerations':[{}],'restartPolicy':'x','nodeSelector':{'-':''},"
				  "'volumes':[{'emptyDir':{}}],'containers':[{'name':'c','ports':[{}]}]}}");
	default_object(&a, r, v);
	assert_int_equal(validate_create(r, v, &err), -1);
	assert_int_equal(err.n_causes, ARRAY_SIZE(fields));
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		assert_string_equal(err.causes[i].field, fields[i]);
}

/* … and so of a security context. */
static void test_security_order(void **state)
{
	static const char *const fields[] = {
	    "spec.containers[0].securityContext.runAsUser",
	    "spec.containers[0].securityContext.procMount",
	    "spec.containers[0].securityContext.seccompProfile.type",
	    "spec.containers[0].securityContext",
	    "spec.containers[0].securityContext.appArmorProfile.type",
	    "spec.securityContext.runAsUser",
	    "spec.securityContext.supplementalGroups[0]",
	    "spec.securityContext.sysctls[0].name",
	    "spec.securityContext.fsGroupChangePolicy",
	    "spec.securityContext.seccompProfile.type",
	    "spec.securityContext.supplementalGroupsPolicy",
	};
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct resource *r = resource_by_plural("", "pods");
	struct json *v =
	    tree(&a, "{" META ",'spec':{'securityContext':{'supplementalGroupsPolicy':'x','seccompProfile':{},"
		     "'fsGroupChangePolicy':'x','sysctls':[{'value':'1'}],'supplementalGroups':[-1],"
		     "'runAsUser':-1},'containers':[{'name':'c','image':'i','securityContext':{'appArmorProfile':"
		     "{},'seccompProfile':{},'procMount':'x','runAsUser':-1,'privileged':true,"
		     "'allowPrivilegeEscalation':false}}]}}");
	default_object(&a, r, v);
	assert_int_equal(validate_create(r, v, &err), -1);
	for (size_t i = 0; i < ARRAY_SIZE(fields) && i < err.n_causes; i++)
		assert_string_equal(err.causes[i].field, fields[i]);
	assert_int_equal(err.n_causes, ARRAY_SIZE(fields));
}

/* ---- updates ---- */

static const struct {
	const char *old, *new; /* members of the spec */
	const char *subresource, *cause;
} updates[] = {
    {"'containers':[" C "]", "'containers':[{'name':'c','image':''}]", NULL, "spec.containers[0].image" REQUIRED},
    {"'containers':[" C "]", "'containers':[{'name':'c','image':'i','env':[{'name':'A','value':'b'}]}]", NULL,
     "spec" FORBIDDEN "pod updates may not change fields other than"},
    {"'containers':[" C "],'activeDeadlineSeconds':5", "'containers':[" C "]", NULL,
     "spec.activeDeadlineSeconds" INVALID "null: must not update from a positive integer to nil value"},
    {"'containers':[" C "]", "'containers':[" C "],'activeDeadlineSeconds':5", NULL, NULL},
#define DEVICE(image)                                                                                                  \
	"'hostUsers':false,'volumes':[{'name':'v','persistentVolumeClaim':{'claimName':'p'}}],'containers':[{'name':'" \
	"c',"                                                                                                          \
	"'image':'" image "','volumeDevices':[{'name':'v','devicePath':'/d'}]}]"
    {DEVICE("i"), DEVICE("j"), NULL, NULL}, /* stored by an older version */
    {"'containers':[" C "],'tolerations':[{'key':'a','operator':'Exists'}]",
     "'containers':[" C "],'tolerations':[{'key':'b','operator':'Exists'}]", NULL,
     "spec.tolerations" FORBIDDEN "existing toleration can not be modified except its tolerationSeconds"},
    {"'containers':[" C "],'tolerations':[{'key':'a','operator':'Exists','effect':'NoExecute'}]",
     "'containers':[" C
     "],'tolerations':[{'key':'a','operator':'Exists','effect':'NoExecute','tolerationSeconds':5},{'key':'b','operator'"
     ":'Exists'}]",
     NULL, NULL},
    {"'containers':[" C "],'terminationGracePeriodSeconds':-1",
     "'containers':[" C "],'terminationGracePeriodSeconds':1", NULL, NULL},
    {"'containers':[" C "],'terminationGracePeriodSeconds':5", "'containers':[" C "],'terminationGracePeriodSeconds':1",
     NULL, "spec" FORBIDDEN},
    {"'containers':[" C "],'schedulingGates':[{'name':'a'},{'name':'b'}]",
     "'containers':[" C "],'schedulingGates':[{'name':'b'}]", NULL, NULL},
    {"'containers':[" C "],'schedulingGates':[{'name':'a'}]", "'containers':[" C "],'schedulingGates':[{'name':'b'}]",
     NULL, "spec.schedulingGates[0].name" FORBIDDEN "only deletion is allowed, but found new scheduling gate 'b'"},
    {"'containers':[" C "],'schedulingGates':[{'name':'a'}],'nodeSelector':{'a':'b'}",
     "'containers':[" C "],'schedulingGates':[{'name':'a'}],'nodeSelector':{'a':'b','c':'d'}", NULL, NULL},
    {"'containers':[" C "],'schedulingGates':[{'name':'a'}],'nodeSelector':{'a':'b'}",
     "'containers':[" C "],'schedulingGates':[{'name':'a'}],'nodeSelector':{'a':'c'}", NULL,
     "spec.nodeSelector" INVALID "{\"a\":\"c\"}: only additions to spec.nodeSelector are allowed"},
    {"'containers':[" C "],'nodeSelector':{'a':'b'}", "'containers':[" C "],'nodeSelector':{'a':'b','c':'d'}", NULL,
     "spec" FORBIDDEN},
#define AFFINITY(terms)                                                                                                \
	"'containers':[" C "],'schedulingGates':[{'name':'a'}],'affinity':{'nodeAffinity':{"                           \
	"'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':[" terms "]}}}"
#define E(key) "{'key':'" key "','operator':'Exists'}"
    {AFFINITY("{'matchExpressions':[" E("a") "]}"), AFFINITY("{'matchExpressions':[" E("a") "," E("b") "]}"), NULL,
     NULL},
    {AFFINITY("{'matchExpressions':[" E("a") "]}"), AFFINITY("{'matchExpressions':[" E("b") "]}"), NULL,
     "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]" INVALID "{"},
    {AFFINITY("{'matchExpressions':[" E("a") "]}"),
     AFFINITY("{'matchExpressions':[" E("a") "]},{'matchExpressions':[" E("b") "]}"), NULL,
     "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms" INVALID "["},
    {"'containers':[" C "],'schedulingGates':[{'name':'a'}]", AFFINITY("{'matchExpressions':[" E("b") "]}"), NULL,
     NULL},
    /* ephemeral containers */
    {"'containers':[" C "],'ephemeralContainers':[{'name':'e','image':'i'}]", "'containers':[" C "]",
     "ephemeralcontainers",
     "spec.ephemeralContainers" FORBIDDEN "existing ephemeral containers \"e\" may not be removed"},
    {"'containers':[" C "],'ephemeralContainers':[{'name':'e','image':'i'}]",
     "'containers':[" C "],'ephemeralContainers':[{'name':'e','image':'j'}]", "ephemeralcontainers",
     "spec.ephemeralContainers" FORBIDDEN "existing ephemeral containers \"e\" may not be changed"},
    {"'containers':[" C "]", "'containers':[" C "],'ephemeralContainers':[{'name':'e','image':'i'}]", NULL,
     "spec" FORBIDDEN},
/* resize */
#define R(cpu) "'containers':[{'name':'c','image':'i','resources':{'requests':{'cpu':'" cpu "'}}}]"
    {R("1"), R("2"), "resize", NULL},
    {R("1"), R("2"), NULL, "spec" FORBIDDEN},
    {R("1"), "'containers':[{'name':'c','image':'i'}]", "resize",
     "spec.containers[0].resources.requests" FORBIDDEN "resource requests cannot be removed"},
    {R("1"), "'containers':[{'name':'c','image':'i','resources':{'limits':{'cpu':'1','memory':'1Gi'}}}]", "resize",
     "spec" INVALID "\"Burstable\": Pod QOS Class may not change as a result of resizing"},
    {R("1"), "'containers':[{'name':'c','image':'i','resources':{'requests':{'cpu':'1','ephemeral-storage':'1'}}}]",
     "resize", "spec" FORBIDDEN "only cpu and memory resources are mutable"},
    {R("1"), "'containers':[{'name':'d','image':'i','resources':{'requests':{'cpu':'1'}}}]", "resize",
     "spec" FORBIDDEN "only cpu and memory resources are mutable"},
    {R("1") ",'resources':{'requests':{'cpu':'2'}}", R("1") ",'resources':{'requests':{'cpu':'3'}}", "resize", NULL},
    {R("1") ",'initContainers':[{'name':'i','image':'i'}]",
     R("1") ",'initContainers':[{'name':'i','image':'i','resources':{'requests':{'cpu':'1'}}}]", "resize",
     "spec" FORBIDDEN "resources for non-sidecar init containers are immutable"},
};

static void test_updates(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(updates); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		const struct resource *r = resource_by_plural("", "pods");
		struct json *old = tree(&a, arena_printf(&a, "{" META ",'spec':{%s}}", updates[i].old));
		struct json *new = tree(&a, arena_printf(&a, "{" META ",'spec':{%s}}", updates[i].new));
		bool found = false;
		default_object(&a, r, old);
		default_object(&a, r, new);
		int result = validate_update(r, new, old, updates[i].subresource, &err);
		if (!updates[i].cause) {
			if (result)
				fail_msg("%s: %s", updates[i].new, err.message);
			continue;
		}
		for (size_t k = 0; k < err.n_causes; k++) {
			char *one = arena_printf(&a, "%s|%s|%s", err.causes[k].field, err.causes[k].type,
						 err.causes[k].message);
			found |= strncmp(one, updates[i].cause, strlen(updates[i].cause)) == 0;
		}
		if (!found)
			fail_msg("%s\nwants %s\ngot %s", updates[i].new, updates[i].cause,
				 err.message ? err.message : "nothing");
	}
}

/* The message of a refused change says what would have changed. */
static void test_diff(void **state)
{
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT;
	const struct resource *r = resource_by_plural("", "pods");
	struct json *old = tree(&a, "{" META ",'spec':{'containers':[" C "],'hostname':'a'}}");
	struct json *new = tree(&a, "{" META ",'spec':{'containers':[" C "],'hostname':'b'}}");
	assert_int_equal(validate_update(r, new, old, NULL, &err), -1);
	expect_contains(err.message, "\n-hostname: \"a\"\n+hostname: \"b\"\n");
}

static const struct {
	const char *old, *new, *cause; /* the status */
} statuses[] = {
    {"{'qosClass':'BestEffort'}", "{'qosClass':'Burstable'}", "status.qosClass" INVALID},
    {"{}", "{'podIPs':[{'ip':'a'}]}", "status.podIPs[0]" INVALID "\"a\": must be a valid IP address"},
    {"{}", "{'podIPs':[{'ip':'10.0.0.1'},{'ip':'10.0.0.2'}]}", "status.podIPs" INVALID "["},
    {"{}", "{'podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}]}", NULL},
    {"{}", "{'hostIP':'10.0.0.1','hostIPs':[{'ip':'10.0.0.2'}]}", "status.hostIPs[0].ip" INVALID},
    {"{}", "{'conditions':[{'type':'a b'}]}", "metadata.conditions[0].Type" INVALID "\"a b\""},
    {"{'containerStatuses':[{'name':'c','state':{'terminated':{'exitCode':0}}}]}",
     "{'containerStatuses':[{'name':'c','state':{'running':{}}}]}",
     "status.containerStatuses[0].state" FORBIDDEN "may not be transitioned to non-terminated state"},
    {"{}", "{'resourceClaimStatuses':[{'name':'a'}]}", "status.resourceClaimStatuses[0].name" INVALID},
    {"{}", "{'nominatedNodeName':'A'}", "status.nominatedNodeName" INVALID},
    {"{}", "{'containerStatuses':[{'name':'c','user':{'linux':{'uid':0,'gid':0,'supplementalGroups':[1]}}}]}", NULL},
    {"{}", "{'containerStatuses':[{'name':'c','user':{'linux':{'uid':-1,'gid':0}}}]}",
     "status.containerStatuses[0].linux.uid" INVALID "-1: must be between 0 and 2147483647, inclusive"},
    {"{}", "{'initContainerStatuses':[{'name':'c','user':{'linux':{'uid':0,'gid':2147483648}}}]}",
     "status.initContainerStatuses[0].linux.gid" INVALID},
    {"{}",
     "{'ephemeralContainerStatuses':[{'name':'c','user':{'linux':{'uid':0,'gid':0,'supplementalGroups':[0,-1]}}}]}",
     "status.ephemeralContainerStatuses[0].linux.supplementalGroups[1]" INVALID},
#define ALLOCATED(resource) "{'containerStatuses':[{'name':'r','allocatedResourcesStatus':[{" resource "}]}]}"
    {"{}", ALLOCATED("'name':'example.com/gpu','resources':[{'resourceID':'a','health':'Healthy'}]"), NULL},
    {"{}", ALLOCATED("'name':'claim:dev/part'"), NULL},
    {"{}", ALLOCATED("'name':'claim:dev'"),
     "status.containerStatuses[0].allocatedResourcesStatus[0].name" INVALID
     "\"claim:dev\": must match one of the container's resource claims"},
    {"{}", ALLOCATED("'name':'cpu'"),
     "status.containerStatuses[0].allocatedResourcesStatus[0].name" INVALID
     "\"cpu\": must match one of the container's resource requests"},
    {"{}", ALLOCATED("'name':'example.com/gpu','resources':[{'resourceID':'a','health':'Fine'}]"),
     "status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health" UNSUPPORTED
     "\"Fine\": supported values: \"Healthy\", \"Unhealthy\", \"Unknown\""},
    {"{}",
     ALLOCATED("'name':'example.com/gpu','resources':[{'resourceID':'a','health':'Healthy'},{'resourceID':'a','health':"
	       "'Healthy'}]"),
     "status.containerStatuses[0].allocatedResourcesStatus[0].resources[1].resourceID" DUPLICATE "\"a\""},
    {"{}", "{'containerStatuses':[{'name':'none','allocatedResourcesStatus':[{'name':'x'}]}]}", NULL},
    {"{}", "{'ephemeralContainerStatuses':[{'name':'e','allocatedResourcesStatus':[{'name':'x'}]}]}",
     "status.ephemeralContainerStatuses[0].allocatedResourcesStatus" FORBIDDEN "must not be specified"},
};

static void test_status(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		_cleanup_arena_ struct arena a = ARENA_INIT;
		_cleanup_status_ struct status err = STATUS_INIT;
		static const char form[] =
		    "{" META ",'spec':{'restartPolicy':'Never','containers':[" C
		    ",{'name':'r','image':'i','resources':{"
		    "'requests':{'example.com/gpu':'1'},'claims':[{'name':'dev','request':'part'}]}}]},'status':%s}";
		struct json *old = tree(&a, arena_printf(&a, form, statuses[i].old));
		struct json *new = tree(&a, arena_printf(&a, form, statuses[i].new));
		int result = validate_update(resource_by_plural("", "pods"), new, old, "status", &err);
		if (!statuses[i].cause) {
			if (result)
				fail_msg("%s: %s", statuses[i].new, err.message);
			continue;
		}
		if (!result)
			fail_msg("%s: no complaint", statuses[i].new);
		char *one =
		    arena_printf(&a, "%s|%s|%s", err.causes[0].field, err.causes[0].type, err.causes[0].message);
		expect_contains(one, statuses[i].cause);
	}
}

/* What is stored and wouldn't be accepted any more may stay, where upstream bears it. */
static void test_ratchet(void **state)
{
#define TEMPLATE(label, image)                                                                                         \
	"{" META ",'spec':{'selector':{'matchLabels':{'a':'b'}},'template':{'metadata':{'labels':{'a':'b'}},'spec':{"  \
	"'containers':[{'name':'c','image':'" image "'}],'affinity':{'podAffinity':{"                                  \
	"'requiredDuringSchedulingIgnoredDuringExecution':[{'topologyKey':'t','labelSelector':{'matchLabels':{'a':"    \
	"'" label "'}}}]}}}}}}"
	(void)state;
	_cleanup_arena_ struct arena a = ARENA_INIT;
	_cleanup_status_ struct status err = STATUS_INIT, again = STATUS_INIT;
	const struct resource *r = resource_by_plural("apps", "deployments");
	struct json *bad = tree(&a, TEMPLATE("b c", "i")), *still = tree(&a, TEMPLATE("b c", "j"));
	struct json *good = tree(&a, TEMPLATE("b", "i"));
	default_object(&a, r, bad);
	default_object(&a, r, still);
	default_object(&a, r, good);
	if (validate_update(r, still, bad, NULL, &err))
		fail_msg("%s", err.message);
	assert_int_equal(validate_update(r, still, good, NULL, &again), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_containers), cmocka_unit_test(test_volumes),
					   cmocka_unit_test(test_specs),      cmocka_unit_test(test_annotations),
					   cmocka_unit_test(test_order),      cmocka_unit_test(test_security_order),
					   cmocka_unit_test(test_updates),    cmocka_unit_test(test_diff),
					   cmocka_unit_test(test_status),     cmocka_unit_test(test_ratchet)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
